//! What is written down before and after each step, so that an execution goes on after a crash.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::CallId;
use crate::tool::Repeat;

/// Keeps entries. In the product the daemon does, which also gives them their sequence numbers.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Stores `entries` in this order, all or none of them, and returns once they survive the death of this process.
    ///
    /// The loop starts a tool only after the [`Entry::CallBegin`] of its call was acknowledged here. It hands over
    /// [`Entry::TurnEnd`] together with the first calls of that turn.
    ///
    /// # Errors
    /// [`JournalError`]; the loop then ends without another step, because it could not account for it.
    async fn commit(&self, entries: Vec<Entry>) -> Result<(), JournalError>;
}

/// Why entries were not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The keeper is gone, or its answer did not come.
    #[error("the journal is out of reach: {0}")]
    Lost(String),
    /// The keeper refuses: a cap is reached or the entry is not one it accepts.
    #[error("the journal refused an entry: {0}")]
    Refused(String),
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// A request is about to be sent.
    TurnBegin(TurnBegin),
    /// The model's whole answer is here.
    TurnEnd(TurnEnd),
    /// A call is about to start.
    CallBegin(CallBegin),
    /// A call came to its end.
    CallEnd(CallEnd),
}

/// A request is about to be sent. Written once per turn; retries of the same request add nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnBegin {
    /// From 1.
    pub turn: u32,
    /// SHA-256 of the request's body, lower-case hex.
    pub request_sha256: String,
}

/// The model's whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnEnd {
    /// From 1.
    pub turn: u32,
    /// The provider's own message, with all that is opaque to us (thinking blocks, signatures): it goes back to the
    /// provider as it came.
    pub message: Value,
    /// What it cost.
    pub usage: Usage,
    /// Why the model stopped.
    pub stop: Stop,
}

/// A call is about to start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallBegin {
    /// Which one.
    pub call: CallId,
    /// Name that the model used.
    pub tool: String,
    /// Arguments; a string with the raw text when they were not JSON.
    pub args: Value,
    /// Whether it may be made again when its end is missing.
    pub repeat: Repeat,
}

/// A call came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEnd {
    /// Which one.
    pub call: CallId,
    /// Text exactly as the model gets it.
    pub text: String,
    /// Whether the model is told that it failed.
    pub is_error: bool,
    /// The whole result, at most [`crate::limits::FULL_BYTES`] of it, when `text` is not the whole.
    #[serde(skip)]
    pub full: Option<Bytes>,
    /// Path of the scratch file that holds the whole, so that it can be made again when scratch was lost.
    pub spilled: Option<String>,
}

/// Tokens of one turn, as the provider counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens that were neither read from nor written to a cache.
    pub input: u64,
    /// Tokens that the model wrote, thinking included.
    pub output: u64,
    /// Prompt tokens read from the provider's cache.
    pub cache_read: u64,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cache_read = self.cache_read.saturating_add(other.cache_read);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
    }
}

/// Why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// It has said what it wanted to say.
    End,
    /// It waits for the results of its calls.
    Tools,
    /// Its answer reached the token bound of one turn.
    Length,
    /// It, or a filter of the provider, declined.
    Refusal,
    /// Another reason, in the provider's word.
    Other(String),
}
