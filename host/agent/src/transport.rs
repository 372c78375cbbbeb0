//! The way to the model. In the product it leads through the daemon's gateway, which adds the key.

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;

/// Sends one request to the provider of this execution.
#[async_trait]
pub trait ModelTransport: Send + Sync {
    /// Sends `request` and returns as soon as status and headers are there; the body follows as it arrives.
    ///
    /// Dropping the future or the body ends the request.
    ///
    /// # Errors
    /// [`TransportError`] when no status came. An HTTP error status is a response, not an error.
    async fn send(&self, request: ModelRequest) -> Result<ModelResponse, TransportError>;
}

/// One request, always a `POST`. It carries no key: whoever sends it adds the provider's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRequest {
    /// Path below the provider's base URL, with a leading slash: `/v1/messages`.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: Bytes,
    /// Turn that the request belongs to, from 1.
    pub turn: u32,
    /// Which try of this turn, from 1: a gateway that counts turns counts the first one only.
    pub attempt: u32,
}

/// Bytes of a response as they arrive, split anywhere. An error ends the stream; an end without one is the end that the
/// server gave.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, TransportError>> + Send>>;

/// Status and headers, and the body to come.
pub struct ModelResponse {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: BodyStream,
}

impl ModelResponse {
    /// First value of a header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for ModelResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelResponse").field("status", &self.status).field("headers", &self.headers).finish()
    }
}

/// Why no whole response came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection, or it broke, or it stalled. Worth another try.
    #[error("the connection to the model broke: {0}")]
    Broken(String),
    /// A bound that the gateway keeps (turns, tokens) is reached. Ends the execution as `limit`.
    #[error("the limit `{name}` is reached: {reason}")]
    Limit {
        /// Name of the bound: `max-turns`, `max-tokens`, `max-cost`.
        name: String,
        /// What was counted against it.
        reason: String,
    },
    /// The gateway does not send this, and would not the next time.
    #[error("the gateway refused the request: {0}")]
    Refused(String),
}

impl TransportError {
    /// Whether the same request may succeed when sent again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, TransportError::Broken(_))
    }
}
