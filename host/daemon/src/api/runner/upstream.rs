//! `stigmer.runner.v1.Model` and `.Http`: the runner's only ways out.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use stigmer_proto::runner as wire;
use tonic::{Request, Response, Status, Streaming};

use super::ports::{ModelCall, Part, Parts, PluginCall};
use super::service::{Shared, chunks, grow};
use super::{MAX_MODEL_BODY, MAX_PLUGIN_BODY, convert};

type Replies = BoxStream<'static, Result<wire::HttpReply, Status>>;

pub(super) struct ModelUpstream(pub(super) Arc<Shared>);
pub(super) struct HttpUpstream(pub(super) Arc<Shared>);

#[tonic::async_trait]
impl wire::model_server::Model for ModelUpstream {
    type CallStream = Replies;

    async fn call(&self, request: Request<Streaming<wire::ModelRequest>>) -> Result<Response<Replies>, Status> {
        use wire::model_request::Part;
        self.0.at_work()?;
        let mut parts = request.into_inner();
        let Some(wire::ModelRequest { part: Some(Part::Head(head)) }) = parts.message().await? else {
            return Err(no_head());
        };
        let chunk = |sent: wire::ModelRequest| match sent.part {
            Some(Part::Chunk(chunk)) => Some(chunk),
            _ => None,
        };
        let body = collect(parts, chunk, MAX_MODEL_BODY).await?;
        let call = ModelCall {
            provider: head.provider,
            model: head.model,
            path: head.path,
            method: head.method,
            headers: convert::headers(head.headers),
            turn: head.turn,
            attempt: head.attempt,
            body,
        };
        Ok(Response::new(replies(self.0.ports.model.call(call).await)))
    }
}

#[tonic::async_trait]
impl wire::http_server::Http for HttpUpstream {
    type CallStream = Replies;

    async fn call(&self, request: Request<Streaming<wire::PluginRequest>>) -> Result<Response<Replies>, Status> {
        use wire::plugin_request::Part;
        self.0.at_work()?;
        let mut parts = request.into_inner();
        let Some(wire::PluginRequest { part: Some(Part::Head(head)) }) = parts.message().await? else {
            return Err(no_head());
        };
        let chunk = |sent: wire::PluginRequest| match sent.part {
            Some(Part::Chunk(chunk)) => Some(chunk),
            _ => None,
        };
        let body = collect(parts, chunk, MAX_PLUGIN_BODY).await?;
        let call = PluginCall {
            plugin: head.plugin,
            method: head.method,
            url: head.url,
            headers: convert::headers(head.headers),
            call: head.call,
            connect_timeout_ms: head.connect_timeout_ms,
            first_byte_timeout_ms: head.first_byte_timeout_ms,
            between_bytes_timeout_ms: head.between_bytes_timeout_ms,
            body,
        };
        Ok(Response::new(replies(self.0.ports.http.call(call).await)))
    }
}

fn no_head() -> Status {
    Status::invalid_argument("the head comes first")
}

async fn collect<T>(
    mut parts: Streaming<T>,
    chunk: impl Fn(T) -> Option<Bytes>,
    limit: usize,
) -> Result<Bytes, Status> {
    let mut body = BytesMut::new();
    while let Some(part) = parts.message().await? {
        let chunk = chunk(part).ok_or_else(|| Status::invalid_argument("one head, then bytes"))?;
        grow(&mut body, &chunk, limit)?;
    }
    Ok(body.freeze())
}

fn replies(parts: Parts) -> Replies {
    // A body's chunk may be longer than a message may be.
    let pieces = parts.flat_map(|part| match part {
        Part::Chunk(bytes) => stream::iter(chunks(bytes).map(Part::Chunk).collect::<Vec<_>>()),
        other => stream::iter(vec![other]),
    });
    pieces.map(|part| Ok(convert::part(part))).boxed()
}
