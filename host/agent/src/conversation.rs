//! The conversation as the wires see it: rounds, each a message of the person and the turns that it led to.

use serde_json::Value;

use crate::call::CallId;
use crate::journal::Stop;

/// A message of the person, and the turns that followed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Round {
    /// The person's words.
    pub message: String,
    /// One per turn.
    pub steps: Vec<Step>,
}

/// One turn: the model's message, and what its calls came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// From 1.
    pub turn: u32,
    /// The provider's own message.
    pub message: Value,
    /// Why the model stopped.
    pub stop: Stop,
    /// In the order in which the model made the calls.
    pub results: Vec<CallResult>,
    /// Words of ours that follow the results: a warning, or the request to go on.
    pub note: Option<String>,
}

/// What one call came to, as the model is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallResult {
    /// Our name for the call.
    pub call: CallId,
    /// The provider's name for it; empty where it has none.
    pub provider_id: String,
    /// Tool, in the model's words.
    pub tool: String,
    /// The text.
    pub text: String,
    /// Whether it failed.
    pub is_error: bool,
}
