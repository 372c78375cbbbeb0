//! The file verbs from outside: every verb over every kind of bad input, each refusal with its allowed twin.
//!
//! Passes as root and as an ordinary user; where the kernel answers differently, the table says so.

#![expect(clippy::disallowed_methods, reason = "tests build their own fixtures by path")]

#[path = "files_verbs/access.rs"]
mod access;
#[path = "files_verbs/changes.rs"]
mod changes;
#[path = "files_verbs/edits.rs"]
mod edits;
#[path = "files_verbs/huge.rs"]
mod huge;
#[path = "files_verbs/links.rs"]
mod links;
#[path = "files_verbs/race.rs"]
mod race;
#[path = "files_verbs/roots.rs"]
mod roots;
#[path = "files_verbs/search.rs"]
mod search;
#[path = "files_verbs/world.rs"]
mod world;
