//! Where results go that are too long for the model.

use async_trait::async_trait;
use bytes::Bytes;

use crate::call::CallId;

/// Keeps the whole of a long result where `read_file` can page through it.
#[async_trait]
pub trait Spill: Send + Sync {
    /// Writes `whole` to a scratch file and returns its path as `read_file` takes it.
    ///
    /// Called once per call; the same call id may come again after a resumption and then replaces the file.
    ///
    /// # Errors
    /// [`SpillError`]; the model is then told that the rest was not kept.
    async fn spill(&self, call: CallId, whole: Bytes) -> Result<String, SpillError>;
}

/// Why a long result could not be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not keep the whole result: {0}")]
pub struct SpillError(pub String);
