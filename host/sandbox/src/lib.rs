//! The walls: jail, file verbs, probes.

pub mod files;
pub mod seccomp;
