//! A skill's name.

use std::fmt;

/// Longest name, in bytes (specification, "name field").
pub const MAX_NAME: usize = 64;

/// Lower-case letters, digits and single hyphens, 1 to [`MAX_NAME`]; safe as the name of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SkillName(String);

/// Why a text is not a [`SkillName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no skill name: 1 to 64 lower-case letters, digits and single hyphens between them")]
pub struct NameError {
    text: String,
}

impl SkillName {
    /// Takes a name as written.
    ///
    /// # Errors
    /// [`NameError`] with the first 80 characters of the text.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let parts_are_fine = text.split('-').all(|part| !part.is_empty() && part.bytes().all(allowed));
        if text.len() > MAX_NAME || !parts_are_fine {
            return Err(NameError { text: text.chars().take(80).flat_map(char::escape_default).collect() });
        }
        Ok(SkillName(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SkillName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_their_limits() {
        let longest = "a".repeat(MAX_NAME);
        for text in ["a", "table", "a-1-b", "0", longest.as_str()] {
            assert_eq!(SkillName::new(text).unwrap().as_str(), text);
        }
        let too_long = "a".repeat(MAX_NAME + 1);
        for text in ["", "-a", "a-", "a--b", "A", "a b", "a/b", "..", "é", "a_b", "a\0", too_long.as_str()] {
            assert!(SkillName::new(text).is_err(), "{text:?}");
        }
    }
}
