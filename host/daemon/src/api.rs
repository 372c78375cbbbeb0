//! The two contracts, mapped to this crate's own types at the border.

pub mod local;
pub(crate) mod peer;
pub mod runner;
