//! What one request may take.

use std::time::Duration;

/// Resolving, dialling and the TLS handshake, together.
pub const CONNECT_TIME: Duration = Duration::from_secs(10);
/// From the request to the whole head of the response. A model that is not asked to stream answers after minutes.
pub const FIRST_BYTE_TIME: Duration = Duration::from_secs(300);
/// Between two pieces of a response. Providers send a ping at least every 30 s.
pub const IDLE_TIME: Duration = Duration::from_secs(120);
/// A request from its start to the last byte of its response, however lively: ends a peer that sends a byte a minute.
pub const WHOLE_TIME: Duration = Duration::from_secs(3600);
/// Head of a response. hyper's floor is 8 KiB.
pub const HEADER_BYTES: usize = 64 << 10;
/// Header fields of a response.
pub const HEADER_FIELDS: usize = 128;
/// Body of a request: a long conversation with images stays below.
pub const REQUEST_BYTES: usize = 32 << 20;
/// Body of a response.
pub const RESPONSE_BYTES: u64 = 64 << 20;

/// Bounds of one request; [`Default`] gives the constants of this module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Resolving, dialling and the TLS handshake, together.
    pub connect: Duration,
    /// From the request to the whole head of the response.
    pub first_byte: Duration,
    /// Between two pieces of the response.
    pub idle: Duration,
    /// From the request to the last byte of the response.
    pub whole: Duration,
    /// Bytes of the response's head; at least 8 KiB.
    pub header_bytes: usize,
    /// Bytes of the request's body.
    pub request_bytes: usize,
    /// Bytes of the response's body.
    pub response_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connect: CONNECT_TIME,
            first_byte: FIRST_BYTE_TIME,
            idle: IDLE_TIME,
            whole: WHOLE_TIME,
            header_bytes: HEADER_BYTES,
            request_bytes: REQUEST_BYTES,
            response_bytes: RESPONSE_BYTES,
        }
    }
}
