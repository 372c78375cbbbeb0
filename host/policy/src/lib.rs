//! What code may do. Pure: a TOML document is checked once into a [`Policy`], and [`decide()`] says of each [`Request`]
//! whether it is allowed and by which rule. No I/O, no clock, no environment.
//!
//! Every wall (file tools, commands, plugins) is compiled from the same [`Policy`] value; every refusal is one
//! [`Denial`]. The promise table ([`promise`]) says which layer holds what, and how strongly, at each [`Level`].

#![deny(missing_docs)]

pub mod address;
pub mod audit;
pub mod decide;
pub mod document;
pub mod environment;
pub mod host;
pub mod limits;
pub mod path;
pub mod policy;
pub mod promise;
pub mod protected;
pub mod request;
pub mod rule;
pub mod system;
pub mod tools;

pub use decide::decide;
pub use document::{Document, DocumentError};
pub use limits::Limits;
pub use path::JailPath;
pub use policy::{Access, HostRule, Places, Policy, PolicyError, Root, RootKind};
pub use promise::{Layer, Level, Promise, Strength};
pub use request::{Decision, Denial, Request, Wall};
pub use rule::Rule;
