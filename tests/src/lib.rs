//! Cross-crate tests: scenarios, attacks, guests, compatibility.

pub mod model_server;
