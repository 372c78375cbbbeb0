//! The stream to the trusted half, used for what it is not meant for.

use std::os::fd::OwnedFd;

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use stigmer_proto::runner as wire;
use stigmer_proto::runner::from_daemon::Message;
use stigmer_proto::runner::http_client::HttpClient;
use stigmer_proto::runner::model_client::ModelClient;
use stigmer_proto::runner::runner_client::RunnerClient;
use stigmer_proto::runner::spec::Work;
use stigmer_proto::{PROTOCOL, PROTOCOL_METADATA, local};
use stigmer_runner::Ended;
use stigmer_tests::hostile::Outcomes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use crate::Attacker;

pub(crate) struct Rpc {
    channel: Channel,
    lease: Streaming<wire::FromDaemon>,
}

impl Rpc {
    /// Leases the work as an honest runner does.
    pub(crate) async fn lease(stream: OwnedFd) -> Result<(Rpc, wire::Execution), Status> {
        let stream = std::os::unix::net::UnixStream::from(stream);
        stream.set_nonblocking(true)?;
        let mut stream = Some(tokio::net::UnixStream::from_std(stream)?);
        let connector = tower::service_fn(move |_: tonic::transport::Uri| {
            let stream = stream.take().map(TokioIo::new);
            std::future::ready(stream.ok_or_else(|| std::io::Error::other("one stream only")))
        });
        let channel = Endpoint::from_static("http://trusted-half").connect_with_connector_lazy(connector);
        let mut lease = RunnerClient::new(channel.clone()).lease(request()).await?.into_inner();
        let mut spec = None;
        loop {
            match lease.message().await?.and_then(|message| message.message) {
                Some(Message::Spec(wire::Spec { work: Some(Work::Execution(work)) })) => spec = Some(work),
                Some(Message::Entry(_)) => {}
                Some(Message::Start(_)) => break,
                other => return Err(Status::internal(format!("{other:?}"))),
            }
        }
        let spec = spec.ok_or_else(|| Status::internal("no execution"))?;
        Ok((Rpc { channel, lease }, spec))
    }

    pub(crate) fn runner(&self) -> RunnerClient<Channel> {
        RunnerClient::new(self.channel.clone())
    }

    /// The next answer of a person.
    pub(crate) async fn answer(&mut self) -> Option<wire::Answer> {
        loop {
            match self.lease.message().await.ok()??.message? {
                Message::Answer(answer) => return Some(answer),
                _ => continue,
            }
        }
    }

    pub(crate) async fn model(
        &self,
        parts: Vec<wire::model_request::Part>,
    ) -> Result<Streaming<wire::HttpReply>, Status> {
        let parts = parts.into_iter().map(|part| wire::ModelRequest { part: Some(part) });
        let sent = ModelClient::new(self.channel.clone()).call(tokio_stream::iter(parts.collect::<Vec<_>>())).await?;
        Ok(sent.into_inner())
    }

    pub(crate) async fn finish(&self) -> Ended {
        let outcome = wire::Outcome { outcome: "completed".to_owned(), ..wire::Outcome::default() };
        let part = wire::finish_request::Part::Outcome(outcome);
        let parts = tokio_stream::iter([wire::FinishRequest { part: Some(part) }]);
        match self.runner().finish(parts).await {
            Ok(_) => Ended::Done,
            Err(_) => Ended::Lost,
        }
    }
}

fn request() -> wire::LeaseRequest {
    wire::LeaseRequest { version: env!("CARGO_PKG_VERSION").to_owned(), pid: std::process::id() }
}

/// Each call of another contract, and each call of its own that is about another execution.
pub(crate) async fn survey(attacker: &mut Attacker) -> Outcomes {
    let mut outcomes = Outcomes::new();
    let mut act = |name: &str, outcome: Result<String, Status>| {
        outcomes.insert(name.to_owned(), outcome.map_err(|status| status.to_string()));
    };
    let rpc = &attacker.rpc;
    let mut person = local::local_client::LocalClient::with_interceptor(rpc.channel.clone(), |mut it: Request<()>| {
        it.metadata_mut().insert(PROTOCOL_METADATA, PROTOCOL.into());
        Ok(it)
    });
    let execution = attacker.spec.id.clone();
    let answer = local::AnswerRequest { execution, all: true, approve: true, ..local::AnswerRequest::default() };
    act("answer for the person", person.answer(answer).await.map(|_| "done".to_owned()));
    act("ask for the status", person.status(local::StatusRequest {}).await.map(|_| "done".to_owned()));
    let other = attacker.scene.other_execution.clone();
    let follow = local::FollowRequest { execution: other, ..local::FollowRequest::default() };
    act("follow another execution", person.follow(follow).await.map(|_| "done".to_owned()));
    act("lease a second time", rpc.runner().lease(request()).await.map(|_| "done".to_owned()));
    act("send a request to the network", http(rpc, attacker.scene.tcp).await);
    act("read what another execution stored", blob(rpc, &attacker.scene.other_blob).await);
    let own = wire::Chunk { data: Bytes::from(format!("{}: stored by a runner", attacker.spec.id)) };
    let stored = rpc.runner().put_blob(tokio_stream::iter([own])).await;
    let stored =
        stored.map(|blob| blob.into_inner().sha256.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let read = match &stored {
        Ok(digest) => blob(rpc, digest).await,
        Err(status) => Err(status.clone()),
    };
    act("twin: store something", stored);
    act("twin: read it", read);
    outcomes
}

async fn http(rpc: &Rpc, port: u16) -> Result<String, Status> {
    use wire::http_reply::Part;
    let head = wire::PluginHead {
        plugin: "none".to_owned(),
        method: "GET".to_owned(),
        url: format!("http://127.0.0.1:{port}/"),
        ..wire::PluginHead::default()
    };
    let part = wire::PluginRequest { part: Some(wire::plugin_request::Part::Head(head)) };
    let mut reply = HttpClient::new(rpc.channel.clone()).call(tokio_stream::iter([part])).await?.into_inner();
    match reply.message().await?.and_then(|reply| reply.part) {
        Some(Part::Head(head)) => Ok(format!("status {}", head.status)),
        other => Err(Status::permission_denied(format!("{other:?}"))),
    }
}

async fn blob(rpc: &Rpc, digest: &str) -> Result<String, Status> {
    let bytes = (0..digest.len() / 2).filter_map(|at| u8::from_str_radix(&digest[at * 2..at * 2 + 2], 16).ok());
    let sha256: Vec<u8> = bytes.collect();
    if sha256.is_empty() {
        return Err(Status::not_found("there is none yet"));
    }
    let mut chunks = rpc.runner().get_blob(wire::Blob { sha256: sha256.into(), size: 0 }).await?.into_inner();
    let chunk = chunks.message().await?.ok_or_else(|| Status::not_found("nothing came"))?;
    Ok(String::from_utf8_lossy(&chunk.data).into_owned())
}
