//! Profiles and queries CSV and JSON Lines files in bounded memory.
//!
//! ```text
//! file ─► read (csv | json lines) ─► Record ─┬─► profile: a sketch per column
//!                                            └─► query: filter ─► group | order ─► rows
//! ```
//!
//! Everything but the border (`component`, generated from `plugins/wit/table`) is plain Rust and is tested natively.

#![deny(missing_docs)]

mod error;
mod profile;
mod query;
mod read;
mod value;

#[cfg(target_arch = "wasm32")]
mod component;

pub use error::Error;
pub use profile::{ColumnProfile, NumericSummary, Profile, profile};
pub use query::{Aggregate, Filter, Function, Operator, Query, Rows, SortKey, query};
pub use read::{Format, Options, Table};
pub use value::ColumnType;
