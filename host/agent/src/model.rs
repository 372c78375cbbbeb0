//! The wires: how each provider's API spells a conversation, and how its stream is read.
//!
//! Pure. A [`Wire`] turns a [`Prompt`] into a request body and gives out decoders; bytes go in as they arrive, split
//! anywhere, and one [`Answer`] comes out. Nothing here knows of sockets, retries or keys.

use serde_json::Value;

use crate::conversation::Round;
use crate::journal::{Stop, Usage};

mod anthropic;
mod arguments;
mod chat;
mod frames;
mod ollama;
mod openai;

pub use arguments::Arguments;

/// Tokens that one answer may have, thinking included, where the API wants a bound. Current models allow more; an
/// answer that reaches it is asked to go on.
pub const ANSWER_TOKENS: u32 = 16_384;

/// Context that a local model is asked for, in tokens. The server's own default (4,096) is shorter than the tools and a
/// few results, and cuts the beginning off without a word.
pub const LOCAL_CONTEXT_TOKENS: u32 = 32_768;

/// How long a local model stays loaded after an answer. The server's own default (5 minutes) is shorter than a long
/// command or a person's answer to a question, and loading takes up to a minute.
pub const LOCAL_KEEP_ALIVE: &str = "30m";

/// Which API the provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Anthropic Messages, `/v1/messages`.
    Anthropic,
    /// OpenAI chat completions, `/chat/completions` below a base URL that ends in `/v1`, and what is compatible with it.
    OpenAi,
    /// Ollama's own, `/api/chat`.
    Ollama,
}

impl Protocol {
    /// The name in settings and specs: `anthropic`, `openai`, `ollama`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Anthropic => "anthropic",
            Protocol::OpenAi => "openai",
            Protocol::Ollama => "ollama",
        }
    }

    /// The protocol of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Protocol::Anthropic, Protocol::OpenAi, Protocol::Ollama].into_iter().find(|protocol| protocol.name() == name)
    }

    /// The wire that speaks it.
    #[must_use]
    pub fn wire(self) -> Box<dyn Wire> {
        match self {
            Protocol::Anthropic => Box::new(anthropic::Anthropic),
            Protocol::OpenAi => Box::<openai::OpenAi>::default(),
            Protocol::Ollama => Box::new(ollama::Ollama),
        }
    }
}

/// A tool as the model is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// `^[a-zA-Z0-9_-]{1,64}$`.
    pub name: String,
    /// What it does.
    pub description: String,
    /// JSON Schema of the arguments, an object.
    pub input_schema: Value,
}

/// Everything that one request says.
#[derive(Debug, Clone, Copy)]
pub struct Prompt<'a> {
    /// Name of the model at its provider.
    pub model: &'a str,
    /// The system prompt.
    pub system: &'a str,
    /// In the order in which they are sent.
    pub tools: &'a [ToolSpec],
    /// Rounds that are over, oldest first.
    pub earlier: &'a [Round],
    /// The round that goes on.
    pub round: &'a Round,
}

impl<'a> Prompt<'a> {
    /// All rounds, oldest first.
    pub(crate) fn rounds(&self) -> impl Iterator<Item = &'a Round> {
        self.earlier.iter().chain([self.round])
    }
}

/// One provider's API.
pub trait Wire: Send + Sync {
    /// Path below the provider's base URL.
    fn path(&self) -> &'static str;

    /// Headers beside the key, names in lower case.
    fn headers(&self) -> Vec<(String, String)>;

    /// The request's JSON. Equal prompts give equal bytes; a prompt with one more step begins with the same tools,
    /// system text and messages, so that the provider's prompt cache hits.
    fn body(&self, prompt: &Prompt<'_>) -> Vec<u8>;

    /// The same request in the form that an error answer asks for, where the wire knows one; `None`: the error stands. Asked
    /// after each error; later bodies of this wire have that form from the beginning.
    fn amended(&self, _status: u16, _error: &[u8], _sent: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// A decoder for one answer.
    fn decoder(&self) -> Box<dyn Decoder>;

    /// The calls that a stored message asks for, in its order.
    fn calls(&self, message: &Value) -> Vec<Requested>;

    /// The text that a stored message says.
    fn text(&self, message: &Value) -> String;
}

/// Reads one answer from its bytes.
pub trait Decoder: Send {
    /// Takes bytes as they arrived and gives back the text that they completed, if any.
    ///
    /// # Errors
    /// [`AnswerError`]; the decoder is of no use afterwards.
    fn feed(&mut self, bytes: &[u8]) -> Result<String, AnswerError>;

    /// Whether the answer is whole; bytes after it are not needed.
    fn is_whole(&self) -> bool;

    /// The answer, once the stream has ended.
    ///
    /// # Errors
    /// [`AnswerError::Cut`] when it ended before the answer did.
    fn finish(self: Box<Self>) -> Result<Answer, AnswerError>;
}

/// What the model said in one turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The provider's own message, to be stored and sent back as it is.
    pub message: Value,
    /// What it cost.
    pub usage: Usage,
    /// Why it stopped.
    pub stop: Stop,
}

/// A call that the model asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Requested {
    /// The provider's id for it; empty where it has none.
    pub id: String,
    /// Tool, in the model's words.
    pub name: String,
    /// Arguments, or the raw text where they are no JSON object.
    pub args: Arguments,
}

/// Why a stream gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The stream ended before the answer did.
    #[error("the model's stream was cut")]
    Cut,
    /// The provider reported a failure within the stream that may pass.
    #[error("the model reported `{kind}`: {message}")]
    Overloaded {
        /// The provider's word for it.
        kind: String,
        /// Its message.
        message: String,
    },
    /// The provider reported a failure within the stream that will not pass by itself.
    #[error("the model reported `{kind}`: {message}")]
    Reported {
        /// The provider's word for it.
        kind: String,
        /// Its message.
        message: String,
    },
    /// The stream is not what the API describes.
    #[error("the model's stream makes no sense: {0}")]
    Malformed(String),
    /// More bytes than one answer or one event may have.
    #[error("the model's answer is longer than {limit} bytes")]
    TooLong {
        /// The bound, in bytes.
        limit: usize,
    },
}

impl AnswerError {
    /// Whether the same request may succeed when sent again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, AnswerError::Cut | AnswerError::Overloaded { .. })
    }
}

/// Reads the message of a provider's error body; each of them has it in one of these places.
pub(crate) fn error_message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let message = parsed.as_ref().and_then(|value| {
        value.pointer("/error/message").or_else(|| value.get("error")).or_else(|| value.get("message"))?.as_str()
    });
    message.unwrap_or_else(|| text.trim()).to_owned()
}

#[cfg(test)]
pub(crate) mod tests;
