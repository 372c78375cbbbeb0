//! Where keys come from, and how they are kept out of every sink.
//!
//! A [`SecretValue`] cannot be printed, copied or compared by accident; [`SecretValue::expose`] is the one way to its
//! text. [`find()`] asks the sources in their fixed order and says which one answered ([`Origin`]). A [`Redactor`] takes
//! the values that a process holds out of everything it writes. [`harden()`] closes the process that holds them.

#![deny(missing_docs)]

pub mod command;
pub mod find;
pub mod harden;
pub mod keyring;
pub mod name;
pub mod prompt;
pub mod redact;
pub mod value;

pub use command::{SecretCommand, SecretCommandError};
pub use find::{Found, NotFound, Origin, Sources, find};
pub use harden::{HardenError, harden};
pub use keyring::{Keyring, KeyringError};
pub use name::{SecretName, SecretNameError};
pub use prompt::{Ask, Held, Hold, PromptError, Terminal};
pub use redact::{RedactStream, Redactor};
pub use value::{SecretValue, SecretValueError};
