//! Names of executions, and the clock that records carry.

use std::time::{SystemTime, UNIX_EPOCH};

/// Name of an execution: `aex-` and a ULID in lower case, so that names sort by time of creation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionId(String);

/// Why a text is not an [`ExecutionId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of an execution")]
pub struct IdError(String);

impl ExecutionId {
    /// A new name, different from every other.
    #[must_use]
    pub fn new() -> Self {
        ExecutionId(format!("aex-{}", ulid::Ulid::new().to_string().to_ascii_lowercase()))
    }

    /// Takes a name from outside. The result is safe as the name of a file: it holds letters, digits and one `-`.
    ///
    /// # Errors
    /// [`IdError`] for anything but `aex-` and 26 characters of a ULID in lower case.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let well_formed = text.strip_prefix("aex-").is_some_and(|ulid| {
            ulid.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
                && ulid::Ulid::from_string(&ulid.to_ascii_uppercase()).is_ok()
        });
        if well_formed { Ok(ExecutionId(text.to_owned())) } else { Err(IdError(text.to_owned())) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ExecutionId {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Unix milliseconds of now. A clock before 1970 reads as 0.
#[must_use]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_its_own_names_and_nothing_that_could_be_a_path() {
        let id = ExecutionId::new();
        assert_eq!(ExecutionId::parse(id.as_str()), Ok(id.clone()));
        for bad in ["", "aex-", "aex-../../x", "run-01arz3ndektsv4rrffq69g5fav", &id.as_str().to_uppercase()] {
            assert!(ExecutionId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
