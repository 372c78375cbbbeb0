//! What a tool is to the loop: a name, a schema and one asynchronous call.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stigmer_policy::{Denial, Wall};
use tokio_util::sync::CancellationToken;

use crate::call::CallId;
use crate::events::{Event, Events, Output};

/// Something that the model may call.
///
/// Name, description and schema are read once, when the tool set is assembled; they must not change during an
/// execution, because the prompt prefix has to stay byte-identical for the provider's cache to hit.
#[async_trait]
pub trait Tool: Send + Sync {
    /// Name as model APIs accept it: `^[a-zA-Z0-9_-]{1,64}$`.
    fn name(&self) -> &str;

    /// What it does, for the model.
    fn description(&self) -> &str;

    /// JSON Schema of the arguments, an object.
    fn input_schema(&self) -> &Value;

    /// Whether a call that was cut off by a crash may simply be made again.
    fn repeat(&self) -> Repeat {
        Repeat::Never
    }

    /// What the call changes, as a key (for file tools the normalised path). Calls of one turn with an equal key run
    /// in the order in which the model made them; `None` runs beside everything else.
    fn writes(&self, args: &Value) -> Option<String> {
        let _ = args;
        None
    }

    /// Runs the call. Everything that goes wrong is a [`ToolResult`] with `is_error`, told to the model.
    ///
    /// When `ctx.cancel` fires the loop no longer waits; a tool that started something ends it by being dropped.
    async fn call(&self, ctx: CallCtx, args: Value) -> ToolResult;
}

/// Whether a call may run a second time when it is not known whether the first one finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// It changes nothing, or changes it to the same end: it is made again.
    Safe,
    /// It is not made again; the model is told that it was interrupted.
    Never,
}

/// What one call knows of its surroundings.
#[derive(Clone)]
pub struct CallCtx {
    /// This call; unique within the execution and stable over a resumption.
    pub call: CallId,
    /// Turn that made the call, counted from 1.
    pub turn: u32,
    /// Fires when the execution is cancelled.
    pub cancel: CancellationToken,
    /// Where live output goes; prefer [`CallCtx::output`].
    pub events: Arc<dyn Events>,
}

impl CallCtx {
    /// Shows a piece of the call's output while it runs. The model does not see it; it sees the [`ToolResult`].
    pub async fn output(&self, stream: Output, text: impl Into<String> + Send) {
        self.events.emit(Event::ToolOutput { call: self.call, stream, text: text.into() }).await;
    }
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolResult {
    /// Text for the model. Above [`crate::limits::RESULT_BYTES`] the model gets head and tail and the name of a scratch
    /// file that holds the whole.
    pub text: String,
    /// Whether the model should read it as a failure.
    pub is_error: bool,
    /// Refusals that a layer of ours made during the call; each becomes an event.
    pub denials: Vec<Denial>,
    /// The whole result, when `text` is already a shortened form of it; `None` when `text` is the whole.
    pub full: Option<Bytes>,
    /// Files that the call itself changed.
    pub changed: Vec<Changed>,
}

/// A file that a call changed, and by which wall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Path as code in the jail sees it.
    pub path: String,
    /// Wall through which it was changed.
    pub wall: Wall,
}

impl ToolResult {
    /// A success with this text.
    #[must_use]
    pub fn ok(text: impl Into<String>) -> Self {
        ToolResult { text: text.into(), ..ToolResult::default() }
    }

    /// A failure that the model is told in these words.
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        ToolResult { text: text.into(), is_error: true, ..ToolResult::default() }
    }

    /// A refusal: the model reads reason and rule, the event carries the whole value.
    #[must_use]
    pub fn denied(denial: Denial) -> Self {
        ToolResult { text: format!("Denied: {denial}"), is_error: true, denials: vec![denial], ..ToolResult::default() }
    }
}
