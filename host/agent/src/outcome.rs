//! How an execution ends.

use serde::{Deserialize, Serialize};

/// How an execution ended. The words are stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The model said that it was done.
    Completed {
        /// Its last text.
        text: String,
    },
    /// It could not go on.
    Failed {
        /// Why, for a person.
        reason: String,
    },
    /// It was cancelled from outside.
    Cancelled,
    /// The model made the same call with the same result too often.
    Loop {
        /// The tool that it called.
        tool: String,
        /// How often running.
        times: u32,
    },
    /// A bound was reached.
    Limit {
        /// Which one: `max-turns`, `max-tokens`, …
        name: String,
        /// What was counted against it.
        reason: String,
    },
}

impl Outcome {
    /// The word for it: `completed`, `failed`, `cancelled`, `loop`, `limit`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Completed { .. } => "completed",
            Outcome::Failed { .. } => "failed",
            Outcome::Cancelled => "cancelled",
            Outcome::Loop { .. } => "loop",
            Outcome::Limit { .. } => "limit",
        }
    }
}
