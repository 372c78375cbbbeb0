//! Ways out of the loop.

use crate::history::HistoryError;
use crate::journal::JournalError;
use crate::outcome::Outcome;
use crate::transport::TransportError;

/// Why the loop stops before the model says that it is done.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// Ends with this outcome.
    Outcome(Outcome),
    /// A step could not be written down.
    Journal(JournalError),
}

impl Stopped {
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Stopped::Outcome(Outcome::Failed { reason: reason.into() })
    }

    pub(crate) fn into_outcome(self) -> Outcome {
        match self {
            Stopped::Outcome(outcome) => outcome,
            Stopped::Journal(error) => Outcome::Failed { reason: error.to_string() },
        }
    }
}

impl From<JournalError> for Stopped {
    fn from(error: JournalError) -> Self {
        Stopped::Journal(error)
    }
}

impl From<HistoryError> for Stopped {
    fn from(error: HistoryError) -> Self {
        Stopped::failed(error.to_string())
    }
}

impl From<TransportError> for Stopped {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Limit { name, reason } => Stopped::Outcome(Outcome::Limit { name, reason }),
            other => Stopped::failed(other.to_string()),
        }
    }
}
