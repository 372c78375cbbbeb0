//! Cross-crate tests: scenarios, attacks, guests, compatibility.
