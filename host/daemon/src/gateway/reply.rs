//! What a model call gives back.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use stigmer_egress::Body;
use stigmer_secrets::RedactStream;

use super::budget::Turn;
use super::error::GatewayError;
use super::usage::Meter;

/// A provider's answer. An error status is an answer, not an error.
#[derive(Debug)]
pub struct ModelReply {
    /// HTTP status.
    pub status: u16,
    /// Those headers that are handed on, names in lower case: `content-type`, `retry-after`, the request's id.
    pub headers: Vec<(String, String)>,
    /// The body as it arrives.
    pub body: ReplyBody,
}

/// Bytes of an answer as the provider sent them, less any secret. Tokens are counted as they pass; dropping it early
/// spends what was counted so far.
pub struct ReplyBody {
    source: Source,
    provider: String,
    redact: Option<RedactStream>,
    /// Until the end is settled.
    open: Option<Open>,
}

pub(super) enum Source {
    Provider(Body),
    Script(VecDeque<Bytes>),
}

/// What is settled at the end. `meter` is `None` for an error status: providers do not bill those.
struct Open {
    turn: Turn,
    meter: Option<Meter>,
}

/// How a body ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// The provider cut it.
    Broken,
    /// The runner let go of it.
    Dropped,
}

impl ReplyBody {
    pub(super) fn new(
        source: Source,
        provider: String,
        redact: RedactStream,
        turn: Turn,
        meter: Option<Meter>,
    ) -> Self {
        ReplyBody { source, provider, redact: Some(redact), open: Some(Open { turn, meter }) }
    }

    fn settle(&mut self, end: End) {
        let Some(Open { turn, meter }) = self.open.take() else { return };
        // An error status was given back when it came.
        let Some(meter) = meter else { return };
        if end == End::Broken || (end == End::Whole && meter.failed()) {
            turn.refund();
        }
        turn.spend(meter.finish());
    }

    fn next_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, GatewayError>>> {
        match &mut self.source {
            Source::Provider(body) => Pin::new(body)
                .poll_next(cx)
                .map_err(|source| GatewayError::Egress { provider: self.provider.clone(), source: Box::new(source) }),
            Source::Script(pieces) => Poll::Ready(pieces.pop_front().map(Ok)),
        }
    }
}

impl Stream for ReplyBody {
    type Item = Result<Bytes, GatewayError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.redact.is_none() {
            return Poll::Ready(None);
        }
        loop {
            let piece = match this.next_piece(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(piece) => piece,
            };
            let out = match piece {
                Some(Ok(piece)) => {
                    if let Some(Open { meter: Some(meter), .. }) = &mut this.open {
                        meter.look(&piece);
                    }
                    this.redact.as_mut().map(|redact| redact.push(&piece)).unwrap_or_default()
                }
                Some(Err(error)) => {
                    this.redact = None;
                    this.settle(End::Broken);
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    let rest = this.redact.take().map(RedactStream::finish).unwrap_or_default();
                    this.settle(End::Whole);
                    return Poll::Ready((!rest.is_empty()).then(|| Ok(rest.into())));
                }
            };
            // Everything of this piece may be the beginning of a secret: wait for more.
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(out.into())));
            }
        }
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        self.settle(End::Dropped);
    }
}

impl fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyBody").field("provider", &self.provider).finish_non_exhaustive()
    }
}
