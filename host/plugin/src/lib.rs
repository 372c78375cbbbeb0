//! WASM components as tools: look at one, compile it, load it, call its exports with JSON. Owns no socket.
//!
//! ```text
//! bytes ─► inspect ─► Inspection (tools, schemas, imports) ──────────────┐
//!    └───► compile ─► CompiledCode ─► sealed file ─► Code::load_sealed ──┴─► Plugin::prepare ─► Plugin::call ─► CallOutcome
//!          (jailed process)           (trusted half)  (jailed runner)        once               fresh instance each
//! ```
//!
//! Everything is refused that was not granted: a guest has the folders in [`Grants`], clocks and random bytes, nothing
//! else of the machine. Each refusal that the host sees is a [`stigmer_policy::Denial`] in the [`CallOutcome`].

#![deny(missing_docs)]

mod call;
mod code;
mod contents;
mod docs;
mod engine;
mod fault;
mod files;
mod grants;
mod imports;
mod inspect;
mod json;
mod limits;
mod names;
mod offer;
mod plugin;
mod schema;
mod signature;
mod sockets;
mod state;
mod stdio;

pub use call::{CallOutcome, CallUse};
pub use code::{Code, CompileError, CompiledCode, LoadError, SEALS, compile};
pub use contents::{ContentError, MAX_COMPONENT_BYTES};
pub use docs::{AppendError, append_docs};
pub use engine::{EPOCH_TICK, Engine, EngineError, EngineKind, POOL_CALLS};
pub use fault::{CallError, TrapError};
pub use files::ChangedFiles;
pub use grants::{DirGrant, Gate, Grants};
pub use imports::{Capability, ImportGroup};
pub use inspect::{Inspection, Tool, UnsupportedExport, digest, inspect};
pub use json::ArgumentError;
pub use limits::{CallLimits, Limit, LimitError};
pub use names::{Export, MAX_TOOL_NAME, tool_names};
pub use plugin::{Plugin, PrepareError};
pub use stdio::Captured;
