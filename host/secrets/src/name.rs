//! What a secret is called.

use serde::{Deserialize, Serialize};

/// Longest name, in bytes. Fits every keyring's user field.
pub const MAX_NAME: usize = 64;

/// Name of a secret: a letter or digit, then letters, digits, `.`, `_` or `-`; at most [`MAX_NAME`] bytes.
///
/// The name is not secret: it stands in listings, grants, events and error messages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(String);

/// Why a text is no [`SecretName`].
///
/// The text itself is left out: what is typed in a name's place is sometimes the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretNameError {
    /// No text at all.
    #[error("the name of a secret cannot be empty")]
    Empty,
    /// More than [`MAX_NAME`] bytes.
    #[error("the name of a secret cannot be longer than {MAX_NAME} bytes")]
    TooLong,
    /// A character that names do not have, or a first one that is no letter or digit.
    #[error("the name of a secret is a letter or digit, then letters, digits, `.`, `_` or `-`")]
    Character,
}

impl SecretName {
    /// The one door.
    ///
    /// # Errors
    /// [`SecretNameError`], one variant per case.
    pub fn new(text: impl Into<String>) -> Result<Self, SecretNameError> {
        let text = text.into();
        let Some(first) = text.bytes().next() else { return Err(SecretNameError::Empty) };
        if text.len() > MAX_NAME {
            return Err(SecretNameError::TooLong);
        }
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if !first.is_ascii_alphanumeric() || !text.bytes().all(good) {
            return Err(SecretNameError::Character);
        }
        Ok(SecretName(text))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for SecretName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SecretName {
    type Error = SecretNameError;
    fn try_from(text: String) -> Result<Self, SecretNameError> {
        SecretName::new(text)
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_door_names_each_fault() {
        for (text, want) in [
            ("anthropic", Ok(())),
            ("OPENAI_API_KEY", Ok(())),
            ("a.b-c_9", Ok(())),
            ("", Err(SecretNameError::Empty)),
            ("-x", Err(SecretNameError::Character)),
            ("a/b", Err(SecretNameError::Character)),
            ("a\nb", Err(SecretNameError::Character)),
            ("ä", Err(SecretNameError::Character)),
        ] {
            assert_eq!(SecretName::new(text).map(|_| ()), want, "{text:?}");
        }
        assert!(SecretName::new("x".repeat(MAX_NAME)).is_ok());
        assert_eq!(SecretName::new("x".repeat(MAX_NAME + 1)), Err(SecretNameError::TooLong));
    }
}
