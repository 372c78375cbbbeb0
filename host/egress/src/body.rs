//! A response's body.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::error::{EgressError, Wait};

/// The body of a response as a stream of pieces. Dropping it ends the connection. After an error it is at its end.
pub struct Body {
    incoming: Option<Incoming>,
    connection: Connection,
    idle: Pin<Box<Sleep>>,
    whole: Pin<Box<Sleep>>,
    bounds: Bounds,
    received: u64,
}

/// What the body is held to.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) target: String,
    pub(crate) idle: Duration,
    pub(crate) whole: Duration,
    pub(crate) deadline: Instant,
    pub(crate) bytes: u64,
}

/// The task that drives the connection; ends with its owner.
pub(crate) struct Connection(pub(crate) JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Body {
    pub(crate) fn new(incoming: Incoming, connection: Connection, bounds: Bounds) -> Self {
        Body {
            incoming: Some(incoming),
            connection,
            idle: Box::pin(sleep(bounds.idle)),
            whole: Box::pin(sleep_until(bounds.deadline)),
            bounds,
            received: 0,
        }
    }

    /// Everything at once. Bounded by the response's limit.
    ///
    /// # Errors
    /// As the stream's items.
    pub async fn collect(mut self) -> Result<Bytes, EgressError> {
        let mut all = Vec::new();
        while let Some(piece) = std::future::poll_fn(|cx| Pin::new(&mut self).poll_next(cx)).await {
            all.extend_from_slice(&piece?);
        }
        Ok(all.into())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, EgressError>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let timeout = |wait, limit| EgressError::Timeout { target: self.bounds.target.clone(), wait, limit };
        if self.whole.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(timeout(Wait::Whole, self.bounds.whole))));
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(cx) else {
                ready!(self.idle.as_mut().poll(cx));
                return Poll::Ready(Some(Err(timeout(Wait::Idle, self.bounds.idle))));
            };
            self.idle.as_mut().reset(Instant::now() + self.bounds.idle);
            let data = match frame {
                None => return Poll::Ready(None),
                Some(Err(source)) => {
                    return Poll::Ready(Some(Err(EgressError::Broken { target: self.bounds.target.clone(), source })));
                }
                // Trailers are nothing that a caller is given.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => data,
                    _ => continue,
                },
            };
            self.received = self.received.saturating_add(data.len() as u64);
            if self.received > self.bounds.bytes {
                let (target, limit) = (self.bounds.target.clone(), self.bounds.bytes);
                return Poll::Ready(Some(Err(EgressError::TooLarge { target, what: "response", limit })));
            }
            return Poll::Ready(Some(Ok(data)));
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, EgressError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let polled = this.poll(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            this.incoming = None;
            this.connection.0.abort();
        }
        polled
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({} bytes so far)", self.received)
    }
}
