//! The gRPC contracts, generated from the `.proto` files beside this crate by `cargo xtask proto`.
//!
//! [`local`] is what the command line asks of the daemon, [`runner`] what a jailed runner asks of the trusted half.
//! No type of this crate stands in another crate's public signature: each side converts at its border.

#![deny(missing_docs)]

/// Command line ⇄ daemon, over the unix socket (`stigmer.local.v1`).
#[expect(missing_docs, clippy::all, clippy::allow_attributes_without_reason, reason = "generated")]
pub mod local {
    include!("gen/stigmer.local.v1.rs");
}

/// Runner ⇄ trusted half, over one stream (`stigmer.runner.v1`).
#[expect(missing_docs, clippy::all, clippy::allow_attributes_without_reason, reason = "generated")]
pub mod runner {
    include!("gen/stigmer.runner.v1.rs");
}

/// Version of [`local`]; raised when an older client would misread an answer.
pub const PROTOCOL: u32 = 1;

/// Request metadata that carries [`PROTOCOL`] on every call of [`local`].
pub const PROTOCOL_METADATA: &str = "stigmer-protocol";

/// Longest message that either side takes from a runner, in bytes. Longer content goes in chunks.
pub const MAX_MESSAGE: usize = 1 << 20;

/// Bytes of one chunk: well below [`MAX_MESSAGE`], so that its frame fits too.
pub const CHUNK: usize = 256 << 10;
