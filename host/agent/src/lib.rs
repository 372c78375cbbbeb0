//! The agent loop, model wires, and the traits it stands on.
//!
//! The loop sends the conversation to a model, runs the calls that come back and sends their results, until the model is
//! done or a bound is reached. It owns no socket, file or process: the model is reached through a [`ModelTransport`],
//! calls run in [`Tool`]s, steps are kept by a [`Journal`] and shown through [`Events`].

#![deny(missing_docs)]

pub mod call;
pub mod clock;
pub mod events;
pub mod journal;
pub mod limits;
pub mod outcome;
pub mod spill;
pub mod tool;
pub mod transport;

pub use call::CallId;
pub use clock::{Clock, SystemClock};
pub use events::{Event, Events, Output};
pub use journal::{CallBegin, CallEnd, Entry, Journal, JournalError, Stop, TurnBegin, TurnEnd, Usage};
pub use outcome::Outcome;
pub use spill::{Spill, SpillError};
pub use tokio_util::sync::CancellationToken;
pub use tool::{CallCtx, Changed, Repeat, Tool, ToolResult};
pub use transport::{BodyStream, ModelRequest, ModelResponse, ModelTransport, TransportError};
