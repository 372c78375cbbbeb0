//! The agent loop, model wires, and the traits it stands on.
//!
//! The loop sends the conversation to a model, runs the calls that come back and sends their results, until the model is
//! done or a bound is reached. It owns no socket, file or process: the model is reached through a [`ModelTransport`],
//! calls run in [`Tool`]s, steps are kept by a [`Journal`] and shown through [`Events`].

#![deny(missing_docs)]

pub mod agent;
pub mod call;
mod calls;
pub mod clock;
pub mod conversation;
pub mod events;
mod exchange;
mod failure;
pub mod history;
pub mod journal;
pub mod limits;
pub mod model;
pub mod outcome;
pub mod prompt;
pub mod python;
mod retry;
mod shorten;
pub mod spill;
mod stopped;
mod streak;
#[cfg(test)]
mod testing;
pub mod todos;
pub mod tool;
pub mod toolset;
pub mod transport;

pub use agent::{Agent, EARLIER_SCRATCH, Earlier, Finished, GO_ON, Parts, SCRATCH_LOST, Task};
pub use call::CallId;
pub use calls::INTERRUPTED;
pub use clock::{Clock, SystemClock};
pub use events::{Event, Events, Output};
pub use history::{History, HistoryError};
pub use journal::{CallBegin, CallEnd, Entry, Journal, JournalError, Stop, TurnBegin, TurnEnd, Usage};
pub use model::Protocol;
pub use outcome::Outcome;
pub use prompt::{SkillLine, Surroundings, system_prompt};
pub use spill::{Spill, SpillError};
pub use streak::LOOP_WARNING;
pub use todos::WriteTodos;
pub use tokio_util::sync::CancellationToken;
pub use tool::{CallCtx, Changed, Repeat, Tool, ToolResult};
pub use toolset::{ToolSet, ToolSetError};
pub use transport::{BodyStream, ModelRequest, ModelResponse, ModelTransport, TransportError};
