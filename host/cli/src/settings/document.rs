//! `config.toml` in `STIGMER_HOME`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::variables::{Key, SETTINGS};

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// The key that is no setting: a program that prints a secret.
const SECRET_COMMAND: &str = "secret_command";
/// How like a known key an unknown one must be to be taken for a slip of it (Jaro-Winkler, 0 to 1).
const LIKE: f64 = 0.75;

/// What the file says. An absent file says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Document {
    values: BTreeMap<Key, String>,
    /// Program and arguments that print a secret.
    pub(crate) secret_command: Option<Vec<String>>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("could not read `{path}`")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{path}` has more than {MAX_BYTES} bytes")]
    TooLong { path: PathBuf },
    #[error("`{path}`, line {line}: no TOML: {message}")]
    Syntax { path: PathBuf, line: usize, message: String },
    #[error("`{path}`, line {line}: unknown key `{key}`")]
    Unknown { path: PathBuf, line: usize, key: String },
    #[error("`{path}`, line {line}: `{key}` must be {expected}")]
    Type { path: PathBuf, line: usize, key: String, expected: &'static str },
}

impl DocumentError {
    pub(crate) fn hint(&self) -> Option<String> {
        let DocumentError::Unknown { key, .. } = self else { return None };
        let known = format!("known keys: {}", known().collect::<Vec<_>>().join(", "));
        Some(match nearest(key) {
            Some(nearest) => format!("did you mean `{nearest}`? {known}"),
            None => known,
        })
    }
}

fn known() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|row| row.config).chain([SECRET_COMMAND])
}

/// The known key that `key` is most likely meant as: one that it is a part of, or one that is spelt much like it.
fn nearest(key: &str) -> Option<&'static str> {
    let key = key.to_lowercase().replace('-', "_");
    let likeness = |known: &'static str| {
        let part = key.len() > 2 && known.contains(&*key);
        let like = strsim::jaro_winkler(known, &key) + if part { 1.0 } else { 0.0 };
        (like, known)
    };
    let best = known().map(likeness).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(like, _)| *like >= LIKE).map(|(_, known)| known)
}

impl Document {
    /// Reads the file. Unknown keys and wrong types are errors: a setting that was misspelt must not seem to hold.
    pub(crate) fn read(path: &Path) -> Result<Document, DocumentError> {
        match read(path) {
            Ok(text) if text.len() as u64 > MAX_BYTES => Err(DocumentError::TooLong { path: path.to_owned() }),
            Ok(text) => Document::parse(path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Document::default()),
            Err(source) => Err(DocumentError::Read { path: path.to_owned(), source }),
        }
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Document, DocumentError> {
        let line = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        let table = DeTable::parse(text).map_err(|error| DocumentError::Syntax {
            path: path.to_owned(),
            line: line(error.span().map_or(0, |span| span.start)),
            message: error.message().trim().replace('\n', ", "),
        })?;
        let mut entries: Vec<_> = table.get_ref().iter().collect();
        // The first that is wrong is the one to be told of.
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut document = Document::default();
        for (key, value) in entries {
            let (name, at) = (key.get_ref().to_string(), line(key.span().start));
            let wrong = |key, expected| DocumentError::Type { path: path.to_owned(), line: at, key, expected };
            if name == SECRET_COMMAND {
                let words = words(value).ok_or_else(|| wrong(name, "a list of texts"))?;
                document.secret_command = Some(words);
                continue;
            }
            let Some(row) = SETTINGS.iter().find(|row| row.config == name) else {
                return Err(DocumentError::Unknown { path: path.to_owned(), line: at, key: name });
            };
            let text = value.get_ref().as_str().ok_or_else(|| wrong(name, "a text"))?;
            document.values.insert(row.key, text.to_owned());
        }
        Ok(document)
    }

    pub(super) fn get(&self, key: Key) -> Option<&String> {
        self.values.get(&key)
    }
}

/// A list of texts that is not empty.
fn words(value: &Spanned<DeValue<'_>>) -> Option<Vec<String>> {
    let words = value.get_ref().as_array()?.iter().map(|word| word.get_ref().as_str().map(str::to_owned));
    words.collect::<Option<Vec<_>>>().filter(|words| !words.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "the person's own settings, at the place that STIGMER_HOME names")]
fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    Ok(text)
}
