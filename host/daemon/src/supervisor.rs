//! One task per execution: starts its jail, serves its runner, replaces what dies, ends what is done.

pub mod state;

pub use state::Outcome;
