//! Probes: what this machine really enforces, found by trying.
//!
//! Every probe performs a forbidden act inside a jail that the product's own code builds, against witnesses that the
//! trusted half made outside it, and the same act in a plain child of the trusted half. Only an act that works out there
//! and fails in here proves anything. [`prove`] runs them; a [`Proof`] says what came of it at one level.

mod act;
mod acts;
pub mod advice;
mod attempt;
mod crowd;
mod job;
mod proof;
mod prove;
mod scene;
mod set;
mod trial;
mod witness;

pub use act::Act;
pub use acts::all;
pub use job::JOBS;
pub use proof::{Control, Finding, Found, Outcome, Proof, Standing};
pub use prove::{ProbeError, Trial, prove};
