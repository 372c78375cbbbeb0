//! Serves one runner over one stream. Used by the daemon, and by the command line when it is the trusted half itself.
//!
//! What the service needs stands behind three traits ([`Journal`], [`Model`], [`PluginHttp`]); it knows no store.

mod convert;
mod link;
mod ports;
mod service;
mod upstream;
mod work;

pub use link::{Link, Note, Say, pair, serve};
pub use ports::{
    CallFailure, FailureKind, Header, Journal, Model, ModelCall, NoHttp, NoJournal, NoModel, Part, Parts, PluginCall,
    PluginHttp, Ports, Question, Refusal, Replayed, RunnerDenial,
};
pub use work::{EnvVar, ExecutionWork, PluginWork, SkillWork, Work};

/// Longest request body of a model call, in bytes: a long conversation with its tool results.
pub const MAX_MODEL_BODY: usize = 32 << 20;
/// Longest request body of a plugin's HTTP call, in bytes.
pub const MAX_PLUGIN_BODY: usize = 16 << 20;
/// Longest result of a runner that is no execution, in bytes: compiled code.
pub const MAX_RESULT: usize = 64 << 20;
/// Calls that one runner may have open at once. Eight tool calls, each with a request of its own, and the loop's own.
pub const MAX_STREAMS: u32 = 32;

#[cfg(test)]
mod tests;
