//! The two contracts, mapped to this crate's own types at the border.

pub(crate) mod peer;
pub mod runner;
