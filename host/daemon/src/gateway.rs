//! The model gateway: the only place where a key meets a request.
//!
//! A runner names an execution, a provider, a model and a path; [`Gateway::call`] checks them against what was opened
//! for that execution, adds the key while sending, counts tokens from the stream that it hands on, and stops at the
//! execution's [`Budget`]. The scripted model ([`script`]) answers from inside, on the same wire.

mod body;
pub mod budget;
pub mod call;
pub mod discover;
pub mod error;
pub mod models;
pub mod provider;
mod reply;
pub mod script;
mod usage;

pub use budget::{Budget, Spent};
pub use call::{Gateway, ModelCall, Session};
pub use discover::{Choice, Facts, NoProvider, Why, choose, ollama_answers};
pub use error::GatewayError;
pub use provider::{Endpoint, EndpointError, Provider, Wire};
pub use reply::{ModelReply, ReplyBody};
pub use script::{Script, ScriptError, ScriptFailure};
