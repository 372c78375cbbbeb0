//! The plugin host from outside: guests built from `tests/guests`, the public interface, nothing else.
//!
//! Guests are found in `$STIGMER_GUESTS`, else where `cargo build --release --target wasm32-wasip2` of `tests/guests`
//! puts them.

#![expect(clippy::disallowed_methods, reason = "tests build their own folders and find their guests by a variable")]

#[path = "calls/changes.rs"]
mod changes;
#[path = "calls/content.rs"]
mod content;
#[path = "calls/files.rs"]
mod files;
#[path = "calls/limits.rs"]
mod limits;
#[path = "calls/sealed.rs"]
mod sealed;
#[path = "calls/support.rs"]
mod support;
#[path = "calls/surroundings.rs"]
mod surroundings;
#[path = "calls/table.rs"]
mod table;
#[path = "calls/types.rs"]
mod types;
