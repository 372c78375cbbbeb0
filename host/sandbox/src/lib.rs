//! The walls: jail, file verbs, probes.

pub mod seccomp;
