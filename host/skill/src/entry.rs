//! Files of a skill, by checked names.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;

/// Most entries of a skill. Skills are instructions with some scripts; one with more is an accident or an attack.
pub const MAX_ENTRIES: usize = 2_000;
/// Most bytes of all files of a skill together.
pub const MAX_BYTES: u64 = 64 << 20;
/// Most times that an archive may grow when unpacked, once it is larger than [`FREE_BYTES`]. Source text reaches 10.
pub const MAX_RATIO: u64 = 100;
/// Bytes that the ratio is not asked for: a small file of zeros is no bomb.
pub const FREE_BYTES: u64 = 1 << 20;
/// Deepest nesting.
pub const MAX_DEPTH: usize = 16;
/// Longest path, in bytes; the skill's own folder must still fit before it.
pub const MAX_PATH: usize = 1_024;
/// Longest component, in bytes (`NAME_MAX`, limits.h).
const MAX_COMPONENT: usize = 255;

/// How much a skill may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Files and folders; default [`MAX_ENTRIES`].
    pub entries: usize,
    /// Bytes of all files; default [`MAX_BYTES`].
    pub bytes: u64,
    /// Unpacked over packed size; default [`MAX_RATIO`].
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { entries: MAX_ENTRIES, bytes: MAX_BYTES, ratio: MAX_RATIO }
    }
}

/// Path of a file below the skill's folder: `/` between components, UTF-8, no `.` or `..`, none that another system
/// would read as something else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPath(String);

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies.
    pub path: EntryPath,
    /// Whether its owner may execute it.
    pub executable: bool,
    /// What it holds.
    pub content: Vec<u8>,
}

/// Why a name, or a set of them, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The name could lead outside, or mean something else on another system.
    #[error("entry `{name}` {why}")]
    Name {
        /// The name, escaped and cut.
        name: String,
        /// What is wrong, as the rest of the sentence.
        why: &'static str,
    },
    /// Two entries have one name, or names that differ only in case or Unicode form.
    #[error("entries `{first}` and `{second}` are the same file on some systems")]
    Twins {
        /// The one seen first.
        first: String,
        /// The other.
        second: String,
    },
    /// Something is both a file and a folder.
    #[error("`{name}` is a file and a folder")]
    FileAndFolder {
        /// Its name.
        name: String,
    },
    /// Neither a regular file nor a folder.
    #[error("entry `{name}` is a {kind}")]
    Kind {
        /// Its name, escaped and cut.
        name: String,
        /// `symbolic link`, `hard link`, …
        kind: &'static str,
    },
    /// A bound was reached.
    #[error("more than {value} {what}")]
    Limit {
        /// `entries`, `bytes`, `times the packed size`.
        what: &'static str,
        /// The bound.
        value: u64,
    },
}

impl EntryPath {
    /// Takes a name as an archive or folder gives it.
    ///
    /// # Errors
    /// [`EntryError::Name`].
    pub fn new(bytes: &[u8]) -> Result<Self, EntryError> {
        let refuse = |why| EntryError::Name { name: shown(bytes), why };
        let text = std::str::from_utf8(bytes).map_err(|_| refuse("is not UTF-8"))?;
        if text.len() > MAX_PATH {
            return Err(refuse("is too long"));
        }
        if text.starts_with('/') {
            return Err(refuse("is absolute"));
        }
        if text.contains('\\') {
            return Err(refuse("holds a backslash, which is a separator elsewhere"));
        }
        if text.chars().any(char::is_control) {
            return Err(refuse("holds a control character"));
        }
        if text.contains(':') {
            return Err(refuse("holds a colon, which names a drive or a stream elsewhere"));
        }
        for component in text.split('/') {
            match component {
                "" => return Err(refuse("has an empty component")),
                "." | ".." => return Err(refuse("has a `.` or `..` component")),
                _ if component.len() > MAX_COMPONENT => return Err(refuse("has a component that is too long")),
                _ if component.ends_with(['.', ' ']) => {
                    return Err(refuse("has a component that ends in a dot or space"));
                }
                _ if is_device(component) => return Err(refuse("has a component that is a device elsewhere")),
                _ => {}
            }
        }
        if text.split('/').count() > MAX_DEPTH {
            return Err(refuse("is too deep"));
        }
        Ok(EntryPath(text.to_owned()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folders that it lies in, outermost first.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }
}

/// Names that Windows gives to devices, with any extension.
fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component).to_ascii_lowercase();
    match stem.as_str() {
        "con" | "prn" | "aux" | "nul" => true,
        _ => {
            stem.len() == 4
                && (stem.starts_with("com") || stem.starts_with("lpt"))
                && stem.ends_with(|c: char| c.is_ascii_digit())
        }
    }
}

/// A name that is safe to print.
pub(crate) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(80).flat_map(char::escape_debug).collect()
}

/// Collects entries, refusing the first that cannot be.
pub(crate) struct Collector {
    limits: Limits,
    entries: Vec<Entry>,
    /// Folded name to the name as written and whether it is a folder.
    names: HashMap<String, (String, bool)>,
    bytes: u64,
}

impl Collector {
    pub(crate) fn new(limits: Limits) -> Self {
        Collector { limits, entries: Vec::new(), names: HashMap::new(), bytes: 0 }
    }

    /// Bytes that still fit.
    pub(crate) fn room(&self) -> u64 {
        self.limits.bytes - self.bytes
    }

    pub(crate) fn too_many_bytes(&self) -> EntryError {
        EntryError::Limit { what: "bytes", value: self.limits.bytes }
    }

    pub(crate) fn folder(&mut self, path: &EntryPath) -> Result<(), EntryError> {
        path.folders().try_for_each(|folder| self.claim(folder, true))?;
        self.claim(path.as_str(), true)
    }

    pub(crate) fn file(&mut self, entry: Entry) -> Result<(), EntryError> {
        let size = entry.content.len() as u64;
        if size > self.room() {
            return Err(self.too_many_bytes());
        }
        entry.path.folders().try_for_each(|folder| self.claim(folder, true))?;
        self.claim(entry.path.as_str(), false)?;
        self.bytes += size;
        self.entries.push(entry);
        Ok(())
    }

    /// Takes a name. A folder may be named again in the same spelling; a file may not.
    fn claim(&mut self, name: &str, is_folder: bool) -> Result<(), EntryError> {
        let count = self.names.len();
        let folded: String = name.nfd().flat_map(char::to_lowercase).nfc().collect();
        match self.names.get(&folded) {
            Some((first, _)) if first != name || !(is_folder || self.names[&folded].1) => {
                Err(EntryError::Twins { first: first.clone(), second: name.to_owned() })
            }
            Some((_, was_folder)) if *was_folder != is_folder => {
                Err(EntryError::FileAndFolder { name: name.to_owned() })
            }
            Some(_) => Ok(()),
            None if count >= self.limits.entries => {
                Err(EntryError::Limit { what: "entries", value: self.limits.entries as u64 })
            }
            None => {
                self.names.insert(folded, (name.to_owned(), is_folder));
                Ok(())
            }
        }
    }

    /// The files, sorted by path.
    pub(crate) fn finish(mut self) -> Vec<Entry> {
        self.entries.sort_by(|a, b| a.path.cmp(&b.path));
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, size: usize) -> Entry {
        Entry { path: EntryPath::new(path.as_bytes()).unwrap(), executable: false, content: vec![b'x'; size] }
    }

    #[test]
    fn names_that_could_mean_something_else_are_refused() {
        for name in ["SKILL.md", "tools/table.wasm", ".hidden/a b", "ä/ö.md", "a..b", "console", "com10"] {
            assert_eq!(EntryPath::new(name.as_bytes()).unwrap().as_str(), name);
        }
        for (name, why) in [
            ("/etc/passwd", "absolute"),
            ("../x", "`..`"),
            ("a/../../x", "`..`"),
            ("./a", "`.`"),
            ("a//b", "empty"),
            ("", "empty"),
            ("a/", "empty"),
            ("a\\..\\b", "backslash"),
            ("C:x", "drive"),
            ("C:\\x", "backslash"),
            ("a\0b", "control"),
            ("a\nb", "control"),
            ("a\u{1b}[2J", "control"),
            ("a.", "dot or space"),
            ("a /b", "dot or space"),
            ("NUL", "device"),
            ("x/com1.txt", "device"),
        ] {
            let error = EntryPath::new(name.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{name:?}: {error}");
        }
        assert!(EntryPath::new(b"\xff").unwrap_err().to_string().contains("UTF-8"));
    }

    #[test]
    fn lengths_at_their_limits() {
        let component = |length: usize| "x".repeat(length);
        assert!(EntryPath::new(component(MAX_COMPONENT).as_bytes()).is_ok());
        assert!(EntryPath::new(component(MAX_COMPONENT + 1).as_bytes()).is_err());
        let deep = |depth: usize| vec!["d"; depth].join("/");
        assert!(EntryPath::new(deep(MAX_DEPTH).as_bytes()).is_ok());
        assert!(EntryPath::new(deep(MAX_DEPTH + 1).as_bytes()).is_err());
        let path = |length: usize| format!("{}/{}", vec![component(200); 4].join("/"), component(length - 804));
        assert!(EntryPath::new(path(MAX_PATH).as_bytes()).is_ok());
        assert!(EntryPath::new(path(MAX_PATH + 1).as_bytes()).is_err());
    }

    #[test]
    fn twins_are_found_in_every_form() {
        for (first, second) in [
            ("a", "a"),
            ("a.md", "A.md"),
            ("dir/a", "DIR/b"),
            ("é", "e\u{301}"),
            ("É", "e\u{301}"),
            ("d/é/x", "d/e\u{301}/y"),
        ] {
            let mut collector = Collector::new(Limits::default());
            collector.file(file(first, 1)).unwrap();
            let error = collector.file(file(second, 1)).unwrap_err();
            assert!(matches!(error, EntryError::Twins { .. }), "{first} {second}: {error}");
        }
        let mut collector = Collector::new(Limits::default());
        for path in ["dir/a", "dir/b", "dir2/a", "é"] {
            collector.file(file(path, 1)).unwrap();
        }
        collector.folder(&EntryPath::new(b"dir").unwrap()).unwrap();
        assert!(matches!(collector.file(file("dir", 1)), Err(EntryError::FileAndFolder { .. })));
        assert!(matches!(collector.file(file("dir/a/b", 1)), Err(EntryError::FileAndFolder { .. })));
    }

    #[test]
    fn limits_at_and_above() {
        let limits = Limits { entries: 3, bytes: 10, ratio: 1 };
        let mut collector = Collector::new(limits.clone());
        collector.file(file("a", 10)).unwrap();
        assert!(matches!(collector.file(file("b", 1)), Err(EntryError::Limit { what: "bytes", .. })));
        let mut collector = Collector::new(limits);
        collector.file(file("d/a", 1)).unwrap();
        collector.file(file("d/b", 1)).unwrap();
        assert!(matches!(collector.file(file("d/c", 1)), Err(EntryError::Limit { what: "entries", .. })));
    }
}
