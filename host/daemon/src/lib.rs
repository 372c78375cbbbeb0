//! The trusted half: store, events, supervisor, approvals, audit, model gateway.
//!
//! One daemon serves one home folder. It holds what must be trusted (keys, the way out, approvals, the record), starts
//! one jailed runner per execution and serves two contracts: `stigmer.local.v1` to the person's own clients, and
//! `stigmer.runner.v1` to each runner over the stream that it made for it.

#![deny(missing_docs)]

pub mod api;
pub mod audit;
pub mod events;
pub mod files_record;
pub mod gateway;
pub mod home;
pub mod id;
pub mod jails;
pub mod prepare;
pub mod request;
pub mod serve;
pub mod store;
pub mod supervisor;
pub mod upstreams;
pub mod workshop;

pub use home::{Home, HomeError, Lock};
pub use id::ExecutionId;
pub use serve::{DaemonConfig, SandboxState, ServeError, serve};
pub use store::{Store, StoreError};

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
