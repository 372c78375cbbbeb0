//! The walls: jail, file verbs, probes.
//!
//! Two halves use this crate. The trusted half ([`start`]) plans a jail and starts its init; everything in [`init`] and
//! the stages runs inside. [`files`] holds the verbs over capability-scoped directories, used on both sides.

#![deny(missing_docs)]

pub mod channel;
mod descriptors;
mod failure;
pub mod files;
mod fork;
pub mod held;
pub mod inherited;
pub mod init;
pub mod jail;
pub mod message;
pub mod prepare;
pub mod probe;
pub mod seccomp;
mod signals;
mod stage;
pub mod start;
