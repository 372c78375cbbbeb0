//! Paths as code inside the jail sees them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

/// Longest path that is accepted, in bytes (`PATH_MAX` less its NUL, limits.h).
pub const MAX_PATH: usize = 4095;

/// Longest single name that is accepted, in bytes (`NAME_MAX`, limits.h).
pub const MAX_NAME: usize = 255;

/// An absolute path in the jail's own name space: no `.` or `..`, no doubled or trailing slash, no NUL.
///
/// The value is a *name*, compared component by component; it says nothing about what lies there. Whoever opens it does
/// so beneath a root's descriptor, never through the ambient file system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct JailPath(PathBuf);

/// Why a path is not a [`JailPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The text was empty.
    #[error("a path cannot be empty")]
    Empty,
    /// A NUL byte, which no kernel call can carry.
    #[error("a path cannot hold a NUL byte")]
    Nul,
    /// More than [`MAX_PATH`] bytes, or a component of more than [`MAX_NAME`].
    #[error("name too long")]
    TooLong,
    /// `..` climbs above `/`.
    #[error("the path climbs above its root")]
    Climbs,
    /// A relative path where an absolute one is needed.
    #[error("the path is not absolute")]
    Relative,
    /// Not UTF-8 where the path has to travel as text.
    #[error("the path is not UTF-8")]
    NotUtf8,
}

impl JailPath {
    /// Takes an absolute path. `.` and `..` are resolved by text, so the result names what the text says, not what a
    /// symbolic link would make of it.
    ///
    /// # Errors
    /// [`PathError`], one variant per case.
    pub fn absolute(path: impl AsRef<Path>) -> Result<Self, PathError> {
        let path = path.as_ref();
        if path.as_os_str().is_empty() {
            return Err(PathError::Empty);
        }
        if !path.is_absolute() {
            return Err(PathError::Relative);
        }
        normalise(path)
    }

    /// Takes a path as a tool or a person gives it: absolute ones stand as they are, relative ones count from `base`.
    ///
    /// # Errors
    /// [`PathError`], one variant per case.
    pub fn from_base(base: &JailPath, path: impl AsRef<Path>) -> Result<Self, PathError> {
        let path = path.as_ref();
        if path.as_os_str().is_empty() {
            return Err(PathError::Empty);
        }
        normalise(&base.0.join(path))
    }

    /// The path for kernel calls and display.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Whether this is `root` itself or lies below it, compared by whole components.
    #[must_use]
    pub fn is_within(&self, root: &JailPath) -> bool {
        self.0.starts_with(&root.0)
    }

    /// The part below `root`: empty for `root` itself, `None` when outside.
    #[must_use]
    pub fn below(&self, root: &JailPath) -> Option<&Path> {
        self.0.strip_prefix(&root.0).ok()
    }

    /// Last component; `None` for `/`.
    #[must_use]
    pub fn name(&self) -> Option<&OsStr> {
        self.0.file_name()
    }

    /// The folder it lies in; `None` for `/`.
    #[must_use]
    pub fn parent(&self) -> Option<JailPath> {
        self.0.parent().map(|parent| JailPath(parent.to_owned()))
    }

    /// This path with one relative, clean component path appended.
    ///
    /// # Errors
    /// As [`JailPath::from_base`].
    pub fn join(&self, path: impl AsRef<Path>) -> Result<Self, PathError> {
        Self::from_base(self, path)
    }

    /// How many components it has; 0 for `/`.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.components().count() - 1
    }
}

fn normalise(path: &Path) -> Result<JailPath, PathError> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.contains(&0) {
        return Err(PathError::Nul);
    }
    let mut out = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir => {
                if !out.pop() {
                    return Err(PathError::Climbs);
                }
            }
            Component::Normal(name) if name.len() > MAX_NAME => return Err(PathError::TooLong),
            Component::Normal(name) => out.push(name),
        }
    }
    if out.as_os_str().len() > MAX_PATH {
        return Err(PathError::TooLong);
    }
    Ok(JailPath(out))
}

impl std::fmt::Display for JailPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}

impl TryFrom<String> for JailPath {
    type Error = PathError;
    fn try_from(text: String) -> Result<Self, PathError> {
        JailPath::absolute(text)
    }
}

impl Serialize for JailPath {
    /// As text; a path that is not UTF-8 is an error, since text that stands for it would name another file.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => Err(serde::ser::Error::custom(PathError::NotUtf8)),
        }
    }
}

impl From<JailPath> for String {
    /// For display: bytes that are not UTF-8 become the replacement character.
    fn from(path: JailPath) -> String {
        path.0.to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_by_text_and_names_each_fault() {
        let base = JailPath::absolute("/w/s").unwrap();
        let long = "x".repeat(MAX_NAME + 1);
        for (text, want) in [
            ("a", Ok("/w/s/a")),
            ("./a//b/", Ok("/w/s/a/b")),
            ("../x", Ok("/w/x")),
            ("/etc/./passwd", Ok("/etc/passwd")),
            ("../../../x", Err(PathError::Climbs)),
            ("a\0b", Err(PathError::Nul)),
            ("", Err(PathError::Empty)),
            (long.as_str(), Err(PathError::TooLong)),
        ] {
            assert_eq!(JailPath::from_base(&base, text), want.map(|w| JailPath::absolute(w).unwrap()), "{text:?}");
        }
    }

    #[test]
    fn within_compares_whole_components() {
        let root = JailPath::absolute("/w/s").unwrap();
        assert!(JailPath::absolute("/w/s/a").unwrap().is_within(&root));
        assert!(root.is_within(&root));
        assert!(!JailPath::absolute("/w/so").unwrap().is_within(&root));
    }
}
