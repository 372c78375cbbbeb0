//! `config.toml` in `STIGMER_HOME`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::variables::{Key, SETTINGS};

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// The key that is no setting: a program that prints a secret.
const SECRET_COMMAND: &str = "secret_command";

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
    #[error("`{path}` is no TOML")]
    Syntax { path: PathBuf, source: toml::de::Error },
    #[error("`{path}` has the unknown key `{key}`")]
    Unknown { path: PathBuf, key: String },
    #[error("`{key}` in `{path}` must be {expected}")]
    Type { path: PathBuf, key: String, expected: &'static str },
}

impl DocumentError {
    pub(crate) fn hint(&self) -> Option<String> {
        let DocumentError::Unknown { .. } = self else { return None };
        let known = SETTINGS.iter().map(|row| row.config).chain([SECRET_COMMAND]);
        Some(format!("known keys: {}", known.collect::<Vec<_>>().join(", ")))
    }
}

impl Document {
    /// Reads the file. Unknown keys and wrong types are errors: a setting that was misspelt must not seem to hold.
    pub(crate) fn read(path: &Path) -> Result<Document, DocumentError> {
        match read(path) {
            Ok(text) => Document::parse(path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Document::default()),
            Err(source) => Err(DocumentError::Read { path: path.to_owned(), source }),
        }
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Document, DocumentError> {
        let table: toml::Table =
            text.parse().map_err(|source| DocumentError::Syntax { path: path.to_owned(), source })?;
        let wrong = |key: &str, expected| DocumentError::Type { path: path.to_owned(), key: key.to_owned(), expected };
        let mut document = Document::default();
        for (key, value) in table {
            if key == SECRET_COMMAND {
                let words = value.as_array().map(|words| words.iter().map(|word| word.as_str().map(str::to_owned)));
                let words = words.and_then(Iterator::collect::<Option<Vec<_>>>).filter(|words| !words.is_empty());
                document.secret_command = Some(words.ok_or_else(|| wrong(&key, "a list of texts"))?);
                continue;
            }
            let Some(row) = SETTINGS.iter().find(|row| row.config == key) else {
                return Err(DocumentError::Unknown { path: path.to_owned(), key });
            };
            let text = value.as_str().ok_or_else(|| wrong(&key, "a text"))?;
            document.values.insert(row.key, text.to_owned());
        }
        Ok(document)
    }

    pub(super) fn get(&self, key: Key) -> Option<&String> {
        self.values.get(&key)
    }
}

#[expect(clippy::disallowed_methods, reason = "the person's own settings, at the place that STIGMER_HOME names")]
fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}
