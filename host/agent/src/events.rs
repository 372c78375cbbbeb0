//! What a person may watch while it happens.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stigmer_policy::Denial;

use crate::call::CallId;
use crate::journal::{Stop, Usage};
use crate::outcome::Outcome;
use crate::tool::Changed;

/// Takes events. They inform; what must not be lost is in the [`crate::Journal`].
#[async_trait]
pub trait Events: Send + Sync {
    /// Passes on one event. Waiting here slows the loop down, which is how a slow reader bounds memory.
    async fn emit(&self, event: Event);
}

/// Which of a call's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Standard output, or a tool's only one.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A turn begins: a request is sent.
    Turn {
        /// From 1.
        turn: u32,
    },
    /// A piece of the model's text. After a [`Event::Retry`] the turn's text starts again from its beginning.
    TextDelta {
        /// From 1.
        turn: u32,
        /// The piece.
        text: String,
    },
    /// A turn's cost, and why the model stopped.
    Usage {
        /// From 1.
        turn: u32,
        /// Of this turn alone.
        usage: Usage,
        /// Why it stopped.
        stop: Stop,
    },
    /// A call starts.
    ToolBegin {
        /// Which one.
        call: CallId,
        /// Name that the model used.
        tool: String,
        /// Arguments; a string with the raw text when they were not JSON.
        args: Value,
    },
    /// A piece of a running call's output.
    ToolOutput {
        /// Which one.
        call: CallId,
        /// Of which output.
        stream: Output,
        /// The piece.
        text: String,
    },
    /// A call came to its end.
    ToolEnd {
        /// Which one.
        call: CallId,
        /// Name that the model used.
        tool: String,
        /// Text as the model gets it.
        text: String,
        /// Whether it failed.
        is_error: bool,
        /// How long it ran.
        took: Duration,
    },
    /// A layer of ours refused something during a call.
    Denial {
        /// During which call.
        call: CallId,
        /// What was refused.
        denial: Denial,
    },
    /// A call changed a file.
    FileChanged {
        /// Which call.
        call: CallId,
        /// Which file, by which wall.
        changed: Changed,
    },
    /// A request failed and is sent again after `wait`.
    Retry {
        /// Which turn.
        turn: u32,
        /// The try that failed, from 1.
        attempt: u32,
        /// Time until the next one.
        wait: Duration,
        /// What went wrong.
        reason: String,
    },
    /// A bound was reached.
    Limit {
        /// Its name.
        name: String,
        /// What was counted.
        reason: String,
    },
    /// A call was cut off by a crash and is not made again.
    Interrupted {
        /// Which one.
        call: CallId,
    },
    /// The execution is over; nothing follows.
    Ended {
        /// How.
        outcome: Outcome,
    },
}
