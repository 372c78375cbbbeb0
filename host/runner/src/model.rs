//! The way to the model: through the trusted half, which adds the key.

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use stigmer_agent::{BodyStream, ModelRequest, ModelResponse, ModelTransport, TransportError};
use stigmer_proto::runner as wire;
use stigmer_proto::runner::http_reply::Part;
use stigmer_proto::runner::model_request::Part as Sent;
use tonic::Streaming;

use crate::rpc::{Rpc, chunks};

/// Sends requests for one model.
pub(crate) struct Gateway {
    pub(crate) rpc: Rpc,
    pub(crate) provider: String,
    pub(crate) model: String,
}

#[async_trait]
impl ModelTransport for Gateway {
    async fn send(&self, request: ModelRequest) -> Result<ModelResponse, TransportError> {
        let ModelRequest { path, headers, body, turn, attempt } = request;
        let headers = headers.into_iter().map(|(name, value)| wire::Header { name, value: Bytes::from(value) });
        let head = wire::ModelHead {
            provider: self.provider.clone(),
            model: self.model.clone(),
            path,
            method: "POST".to_owned(),
            headers: headers.collect(),
            turn,
            attempt,
        };
        let parts = std::iter::once(Sent::Head(head)).chain(chunks(body).map(Sent::Chunk));
        let parts = tokio_stream::iter(parts.map(|part| wire::ModelRequest { part: Some(part) }));
        let replies = self.rpc.model().call(parts).await.map_err(|status| broken(status.message()))?;
        let mut replies = replies.into_inner();
        match next(&mut replies).await? {
            Some(Part::Head(head)) => Ok(ModelResponse {
                status: u16::try_from(head.status).map_err(|_| broken("a status that is none"))?,
                headers: head.headers.into_iter().map(header).collect(),
                body: body_of(replies),
            }),
            _ => Err(broken("no status came")),
        }
    }
}

fn header(header: wire::Header) -> (String, String) {
    (header.name.to_ascii_lowercase(), String::from_utf8_lossy(&header.value).into_owned())
}

/// The body as it arrives. Only the trusted half's word ends it whole: a stream that merely stops was cut.
fn body_of(replies: Streaming<wire::HttpReply>) -> BodyStream {
    stream::unfold(Some(replies), |replies| async move {
        let mut replies = replies?;
        match next(&mut replies).await {
            Ok(Some(Part::Chunk(bytes))) => Some((Ok(bytes), Some(replies))),
            Ok(Some(Part::End(_))) => None,
            Ok(_) => Some((Err(broken("the stream was cut")), None)),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

async fn next(replies: &mut Streaming<wire::HttpReply>) -> Result<Option<Part>, TransportError> {
    match replies.message().await.map_err(|status| broken(status.message()))?.and_then(|reply| reply.part) {
        Some(Part::Failure(failure)) => Err(failed(failure)),
        part => Ok(part),
    }
}

fn broken(why: &str) -> TransportError {
    TransportError::Broken(why.to_owned())
}

fn failed(failure: wire::Failure) -> TransportError {
    use wire::FailureKind as Kind;
    let kind = failure.kind();
    let wire::Failure { message, hint, .. } = failure;
    match kind {
        Kind::Limit => {
            let names = ["max-turns", "max-tokens"];
            let name = names.into_iter().find(|name| message.contains(name)).unwrap_or("budget");
            TransportError::Limit { name: name.to_owned(), reason: message }
        }
        Kind::Dns | Kind::Connect | Kind::Tls | Kind::Timeout | Kind::Cut | Kind::Unspecified => {
            TransportError::Broken(advised(message, &hint))
        }
        Kind::Denied | Kind::NeedsKey | Kind::BadRequest | Kind::Script => {
            TransportError::Refused(advised(message, &hint))
        }
    }
}

fn advised(message: String, hint: &str) -> String {
    if hint.is_empty() { message } else { format!("{message} ({hint})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_keep_their_meaning() {
        let of = |kind: wire::FailureKind, message: &str, hint: &str| {
            failed(wire::Failure {
                kind: kind.into(),
                message: message.to_owned(),
                hint: hint.to_owned(),
                denial: Bytes::new(),
            })
        };
        let limit = of(wire::FailureKind::Limit, "the limit `max-turns` of 3 is reached (3 used)", "");
        assert!(matches!(&limit, TransportError::Limit { name, .. } if name == "max-turns"), "{limit:?}");
        for kind in [wire::FailureKind::Dns, wire::FailureKind::Cut, wire::FailureKind::Timeout] {
            assert!(of(kind, "x", "").is_retryable());
        }
        for kind in [wire::FailureKind::Denied, wire::FailureKind::NeedsKey, wire::FailureKind::Script] {
            assert!(!of(kind, "x", "").is_retryable());
        }
        assert_eq!(
            of(wire::FailureKind::NeedsKey, "no key", "store it"),
            TransportError::Refused("no key (store it)".to_owned())
        );
        let broken = of(wire::FailureKind::Connect, "refused", "is it running?");
        assert_eq!(broken, TransportError::Broken("refused (is it running?)".to_owned()));
    }
}
