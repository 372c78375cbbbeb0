//! What serving a runner stands on.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use stigmer_policy::{Denial, Wall};

use crate::store::{BlobRef, NewEntry, NewEvent, StoredEntry};

/// The three things behind a runner's service.
#[derive(Clone)]
pub struct Ports {
    /// Keeps what it reports.
    pub journal: Arc<dyn Journal>,
    /// Reaches its model.
    pub model: Arc<dyn Model>,
    /// Sends its plugins' requests.
    pub http: Arc<dyn PluginHttp>,
}

/// Keeps what one runner reports.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Stores entries and events in one commit, then the denials. Returns when they survive `kill -9`.
    async fn append(
        &self,
        entries: Vec<NewEntry>,
        events: Vec<NewEvent>,
        denials: Vec<RunnerDenial>,
    ) -> Result<Vec<u64>, Refusal>;
    /// Every stored entry: first of the executions that are resumed, oldest first, then its own.
    fn replay(&self) -> BoxStream<'static, Result<Replayed, Refusal>>;
    /// Stores bytes.
    async fn put_blob(&self, data: Bytes) -> Result<BlobRef, Refusal>;
    /// Bytes stored before; `None`: not by this execution.
    async fn blob(&self, sha256: [u8; 32]) -> Result<Option<Bytes>, Refusal>;
    /// Stores a question. The answer, when there is one already.
    async fn ask(&self, question: Question) -> Result<Option<bool>, Refusal>;
}

/// What a new runner is told of the time before it.
#[derive(Debug, Clone)]
pub enum Replayed {
    /// An execution that is resumed begins: the person's words of then.
    Earlier(String),
    /// A stored entry of it.
    History(StoredEntry),
    /// A stored entry of the execution itself.
    Own {
        /// The entry.
        entry: StoredEntry,
        /// It begins a call that was never released to init: nothing of it was started.
        held: bool,
    },
}

/// A denial as a runner reports it; its observer is the untrusted half.
#[derive(Debug, Clone)]
pub struct RunnerDenial {
    /// The denial.
    pub denial: Denial,
    /// The wall that it names.
    pub wall: Option<Wall>,
    /// The call; empty: none.
    pub call: String,
}

/// A command that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The call.
    pub call: String,
    /// Number under which init will be asked to start it.
    pub number: u64,
    /// The tool.
    pub tool: String,
    /// Program and arguments.
    pub argv: Vec<Bytes>,
    /// Whole environment, `NAME=value`.
    pub env: Vec<Bytes>,
    /// Working directory.
    pub cwd: Bytes,
    /// Wall time in ms; 0: none.
    pub timeout_ms: u64,
}

/// Why something that a runner reported was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The execution is over.
    #[error("the execution has ended")]
    Ended,
    /// A bound is reached.
    #[error("{0}")]
    TooMuch(String),
    /// It makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The trusted half could not; details stay there.
    #[error("the trusted half could not store it")]
    Unavailable,
}

/// Name and value.
pub type Header = (String, Bytes);

/// One request to a model.
#[derive(Debug, Clone)]
pub struct ModelCall {
    /// Provider that the runner names; must be the execution's.
    pub provider: String,
    /// Model that the runner names; must be the execution's.
    pub model: String,
    /// Below the provider's base URL.
    pub path: String,
    /// `POST`, `GET`.
    pub method: String,
    /// As the runner sent them; the gateway keeps few.
    pub headers: Vec<Header>,
    /// Turn, from 1.
    pub turn: u32,
    /// Try, from 1.
    pub attempt: u32,
    /// At most [`super::MAX_MODEL_BODY`] bytes.
    pub body: Bytes,
}

/// One request of a plugin.
#[derive(Debug, Clone)]
pub struct PluginCall {
    /// Name of the plugin, as the work gave it.
    pub plugin: String,
    /// Method.
    pub method: String,
    /// Absolute URL.
    pub url: String,
    /// As the plugin sent them.
    pub headers: Vec<Header>,
    /// Call; empty: none.
    pub call: String,
    /// In ms; 0: the default.
    pub connect_timeout_ms: u64,
    /// In ms; 0: the default.
    pub first_byte_timeout_ms: u64,
    /// In ms; 0: the default.
    pub between_bytes_timeout_ms: u64,
    /// At most [`super::MAX_PLUGIN_BODY`] bytes.
    pub body: Bytes,
}

/// A piece of an answer: `Head`, any number of `Chunk`, then `End`; or `Failed` at any point, then nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Status and headers.
    Head {
        /// HTTP status.
        status: u16,
        /// Headers.
        headers: Vec<Header>,
    },
    /// Bytes of the body.
    Chunk(Bytes),
    /// The body is whole.
    End,
    /// It did not come to its end.
    Failed(CallFailure),
}

/// An answer as it comes.
pub type Parts = BoxStream<'static, Part>;

/// Why a request did not come to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct CallFailure {
    /// Which case.
    pub kind: FailureKind,
    /// For people and the model; no secrets, no host paths.
    pub message: String,
    /// Advice; empty: none.
    pub hint: String,
    /// The denial, when the kind is [`FailureKind::Denied`].
    pub denial: Option<Denial>,
}

impl CallFailure {
    /// A failure without advice.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        CallFailure { kind, message: message.into(), hint: String::new(), denial: None }
    }
}

/// Cases of [`CallFailure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Policy refused.
    Denied,
    /// A budget is spent.
    Limit,
    /// No key for this provider.
    NeedsKey,
    /// The name did not resolve.
    Dns,
    /// No connection.
    Connect,
    /// TLS failed.
    Tls,
    /// Too slow.
    Timeout,
    /// Cut before its end.
    Cut,
    /// The request itself is wrong.
    BadRequest,
    /// A scripted model's expectation failed.
    Script,
}

/// Reaches the model of one execution, with its key, within its budget.
#[async_trait]
pub trait Model: Send + Sync + 'static {
    /// Sends one request; the answer comes as it arrives.
    async fn call(&self, call: ModelCall) -> Parts;
}

/// Sends plugins' requests, within the policy.
#[async_trait]
pub trait PluginHttp: Send + Sync + 'static {
    /// Sends one request; the answer comes as it arrives.
    async fn call(&self, call: PluginCall) -> Parts;
}

/// For work that reports nothing: every entry is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn append(&self, _: Vec<NewEntry>, _: Vec<NewEvent>, _: Vec<RunnerDenial>) -> Result<Vec<u64>, Refusal> {
        Err(Refusal::Invalid("this work keeps no journal".to_owned()))
    }

    fn replay(&self) -> BoxStream<'static, Result<Replayed, Refusal>> {
        Box::pin(futures::stream::empty())
    }

    async fn put_blob(&self, _: Bytes) -> Result<BlobRef, Refusal> {
        Err(Refusal::Invalid("this work keeps no blobs".to_owned()))
    }

    async fn blob(&self, _: [u8; 32]) -> Result<Option<Bytes>, Refusal> {
        Ok(None)
    }

    async fn ask(&self, _: Question) -> Result<Option<bool>, Refusal> {
        Err(Refusal::Invalid("this work asks nobody".to_owned()))
    }
}

fn refuse(what: &str) -> Parts {
    let failure = CallFailure::new(FailureKind::BadRequest, format!("this work has no {what}"));
    Box::pin(futures::stream::iter([Part::Failed(failure)]))
}

/// For work without a model.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoModel;

#[async_trait]
impl Model for NoModel {
    async fn call(&self, _: ModelCall) -> Parts {
        refuse("model")
    }
}

/// For work whose plugins have no host granted.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHttp;

#[async_trait]
impl PluginHttp for NoHttp {
    async fn call(&self, call: PluginCall) -> Parts {
        let denial = Denial {
            rule: stigmer_policy::Rule::NetworkOff,
            subject: format!("connect {}", call.url),
            reason: "network is off".to_owned(),
            grant: None,
        };
        let failure = CallFailure {
            denial: Some(denial),
            ..CallFailure::new(FailureKind::Denied, "network is off (rule `network-off`)")
        };
        Box::pin(futures::stream::iter([Part::Failed(failure)]))
    }
}
