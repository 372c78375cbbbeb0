//! WASM components as tools: load, inspect, call. Owns no socket.

#![deny(missing_docs)]

mod engine;
mod files;
mod grants;
mod limits;
mod offer;
mod sockets;
mod state;
mod stdio;

pub use engine::{Engine, EngineError, EngineKind};
pub use grants::{DirGrant, Gate, Grants};
pub use limits::{CallLimits, Limit, LimitError};
pub use stdio::Captured;
