//! Why there is no answer.

/// Most columns a table may have. A file with more is not a table that a person or model reads column by column.
pub const MAX_COLUMNS: usize = 1024;
/// Most bytes of one record. A stray quote would otherwise swallow the rest of the file as one field.
pub const MAX_RECORD_BYTES: usize = 4 << 20;
/// Most groups of one query.
pub const MAX_GROUPS: usize = 100_000;
/// Most bytes of text that a query may hold at once: group keys, smallest and largest texts, rows kept for the answer.
pub const MAX_HELD_BYTES: usize = 48 << 20;
/// Most names that an error lists.
const MAX_LISTED: usize = 100;

/// Why a table could not be opened, read or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such file.
    #[error("no such file `{0}`")]
    NotFound(String),
    /// Not granted, or not readable.
    #[error("`{0}` may not be read")]
    Denied(String),
    /// Reading failed.
    #[error("could not read `{path}`")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The content is not what the format asks for.
    #[error("row {row}: {reason}")]
    Malformed {
        /// Data row, counted from 1; 0 for the file as a whole.
        row: u64,
        /// What is wrong.
        reason: String,
    },
    /// The query names a column that is not there.
    #[error("no column `{name}`")]
    UnknownColumn {
        /// The name asked for.
        name: String,
        /// The first hundred columns there are.
        known: Vec<String>,
    },
    /// The query contradicts itself.
    #[error("{0}")]
    InvalidQuery(String),
    /// A bound was reached.
    #[error("limit `{name}` of {value} reached")]
    Limit {
        /// Name as in the WIT record `limit`.
        name: &'static str,
        /// Its value.
        value: u64,
    },
}

impl Error {
    pub(crate) fn unknown_column(name: &str, known: &[String]) -> Self {
        Error::UnknownColumn { name: name.to_owned(), known: known.iter().take(MAX_LISTED).cloned().collect() }
    }

    pub(crate) fn limit(name: &'static str, value: usize) -> Self {
        Error::Limit { name, value: value as u64 }
    }

    pub(crate) fn io(path: &str, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match source.kind() {
            ErrorKind::NotFound => Error::NotFound(path.to_owned()),
            ErrorKind::PermissionDenied => Error::Denied(path.to_owned()),
            _ => Error::Io { path: path.to_owned(), source },
        }
    }
}
