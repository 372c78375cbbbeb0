//! Cross-crate tests: scenarios, attacks, guests, compatibility.
//!
//! The product is run as a person runs it: its own executable, a fresh home, a scrubbed environment.

#![deny(missing_docs)]
#![expect(clippy::disallowed_methods, reason = "tests build their own fixtures and start the product")]

pub mod attack;
pub mod chance;
pub mod hostile;
pub mod model_server;
pub mod processes;
pub mod product;
pub mod waiting;
