//! The value of a secret.

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroize as _;

/// Longest value, in bytes. Keys and tokens have tens to some thousand; a file given by mistake has more.
pub const MAX_VALUE: usize = 16 << 10;

/// A secret's text: no `Display`, a redacted `Debug`, not `Clone`, wiped when dropped. Share it behind an `Arc`.
///
/// ```
/// let key = stigmer_secrets::SecretValue::new("sk-example").unwrap();
/// assert_eq!(format!("{key:?}"), "SecretValue([redacted])");
/// assert_eq!(key.expose(), "sk-example");
/// ```
pub struct SecretValue(SecretString);

/// Why a text cannot be a secret's value. Says nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretValueError {
    /// Nothing, or only white space.
    #[error("the value of the secret is empty")]
    Empty,
    /// More than [`MAX_VALUE`] bytes.
    #[error("the value of the secret is longer than {MAX_VALUE} bytes")]
    TooLong,
    /// A NUL byte.
    #[error("the value of the secret holds a NUL byte")]
    Nul,
    /// Bytes that are no UTF-8.
    #[error("the value of the secret is no UTF-8 text")]
    NotText,
}

impl SecretValue {
    /// Takes a value. White space around it (the line end of a file or a pasted line) is dropped; the text that was
    /// handed in is wiped, whether it is accepted or not.
    ///
    /// # Errors
    /// [`SecretValueError`], one variant per case.
    pub fn new(text: impl Into<String>) -> Result<Self, SecretValueError> {
        let mut text = text.into();
        let value = check(text.trim()).map(|good| SecretValue(SecretString::from(Box::<str>::from(good))));
        text.zeroize();
        value
    }

    /// The text itself. Every call of this is a place where a key is used: keep them few.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

fn check(text: &str) -> Result<&str, SecretValueError> {
    if text.is_empty() {
        Err(SecretValueError::Empty)
    } else if text.len() > MAX_VALUE {
        Err(SecretValueError::TooLong)
    } else if text.contains('\0') {
        Err(SecretValueError::Nul)
    } else {
        Ok(text)
    }
}

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretValue([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_line_and_shows_nothing() {
        let value = SecretValue::new("  sk-canary-1\n").unwrap();
        assert_eq!(value.expose(), "sk-canary-1");
        assert!(!format!("{value:?} {:?}", Some(&value)).contains("canary"));
    }

    #[test]
    fn names_each_fault() {
        assert_eq!(SecretValue::new(" \n").unwrap_err(), SecretValueError::Empty);
        assert_eq!(SecretValue::new("a\0b").unwrap_err(), SecretValueError::Nul);
        assert!(SecretValue::new("x".repeat(MAX_VALUE)).is_ok());
        assert_eq!(SecretValue::new("x".repeat(MAX_VALUE + 1)).unwrap_err(), SecretValueError::TooLong);
    }
}
