//! `stigmer.local.v1.Local`: what the person's own clients ask.

mod convert;

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use stigmer_proto::local as wire;
use stigmer_proto::{PROTOCOL, PROTOCOL_METADATA};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::ExecutionId;
use crate::events::Follower;
use crate::serve::About;
use crate::supervisor::Supervisor;
use crate::supervisor::ports::{SecretError, Upstreams};
use convert::status;

/// Metadata that carries advice beside an error, as UTF-8.
pub const HINT_METADATA: &str = "stigmer-hint-bin";

/// Executions in one list when a client names no bound, and at most.
const LIST: (u32, u32) = (50, 1_000);

pub(crate) struct LocalApi {
    pub(crate) about: Arc<About>,
    pub(crate) supervisor: Supervisor,
    pub(crate) upstreams: Arc<dyn Upstreams>,
    /// `true` once the daemon goes down.
    pub(crate) closing: watch::Sender<bool>,
}

impl LocalApi {
    /// Refuses clients that speak another protocol.
    fn check<T>(&self, request: Request<T>) -> Result<T, Status> {
        let spoken = request.metadata().get(PROTOCOL_METADATA).and_then(|value| value.to_str().ok());
        let spoken = spoken.and_then(|text| text.parse::<u32>().ok());
        if spoken != Some(PROTOCOL) {
            let version = &self.about.version;
            let theirs = spoken.map_or("none".to_owned(), |number| number.to_string());
            let text = format!("the daemon {version} speaks protocol {PROTOCOL}, the client {theirs}");
            return Err(convert::hinted(Status::failed_precondition(text), "run `stigmer local restart`"));
        }
        Ok(request.into_inner())
    }

    fn id(text: &str) -> Result<ExecutionId, Status> {
        ExecutionId::parse(text).map_err(|error| Status::invalid_argument(error.to_string()))
    }

    fn keep_secret(&self, name: &str, value: &[u8], origin: &str) -> Result<(), Status> {
        let text = std::str::from_utf8(value).map_err(|_| Status::invalid_argument("a secret is text"))?;
        self.upstreams.set_secret(name, text, origin).map_err(|SecretError(why)| Status::invalid_argument(why))
    }
}

#[tonic::async_trait]
impl wire::local_server::Local for LocalApi {
    async fn hello(&self, _: Request<wire::HelloRequest>) -> Result<Response<wire::HelloReply>, Status> {
        Ok(Response::new(wire::HelloReply {
            version: self.about.version.clone(),
            protocol: PROTOCOL,
            pid: std::process::id(),
            home: self.about.home.clone(),
        }))
    }

    async fn status(&self, request: Request<wire::StatusRequest>) -> Result<Response<wire::StatusReply>, Status> {
        self.check(request)?;
        let unfinished = self.supervisor.store().unfinished().await.map_err(|error| status(&error))?;
        let parked = unfinished.iter().filter(|row| ["parked", "needs_key", "stopped"].contains(&row.state.as_str()));
        let parked = u32::try_from(parked.count()).unwrap_or(u32::MAX);
        let all = u32::try_from(unfinished.len()).unwrap_or(u32::MAX);
        let providers = self.upstreams.providers().into_iter().map(convert::provider).collect();
        Ok(Response::new(convert::status_reply(&self.about, providers, all - parked, parked)))
    }

    async fn stop(&self, request: Request<wire::StopRequest>) -> Result<Response<wire::StopReply>, Status> {
        self.check(request)?;
        let parked = self.supervisor.stop().await;
        self.closing.send_replace(true);
        Ok(Response::new(wire::StopReply { parked: u32::try_from(parked).unwrap_or(u32::MAX) }))
    }

    async fn run(&self, request: Request<wire::RunRequest>) -> Result<Response<wire::RunReply>, Status> {
        let sent = self.check(request)?;
        if *self.closing.borrow() {
            return Err(Status::unavailable("the daemon is stopping"));
        }
        if !sent.api_key.is_empty() {
            self.keep_secret(&sent.provider, &sent.api_key, &sent.api_key_origin)?;
        }
        let request = convert::run_request(sent)?;
        let execution = self.supervisor.run(request).await.map_err(|error| convert::run_status(&error))?;
        Ok(Response::new(wire::RunReply { execution: execution.to_string() }))
    }

    async fn list_executions(
        &self,
        request: Request<wire::ListExecutionsRequest>,
    ) -> Result<Response<wire::ListExecutionsReply>, Status> {
        let request = self.check(request)?;
        let limit = match request.limit {
            0 => LIST.0,
            limit => limit.min(LIST.1),
        };
        let rows =
            self.supervisor.store().executions(limit, &request.workspace).await.map_err(|error| status(&error))?;
        let executions = rows.into_iter().map(convert::execution).collect();
        Ok(Response::new(wire::ListExecutionsReply { executions }))
    }

    async fn show_execution(
        &self,
        request: Request<wire::ShowExecutionRequest>,
    ) -> Result<Response<wire::ShowExecutionReply>, Status> {
        let id = Self::id(&self.check(request)?.execution)?;
        let store = self.supervisor.store();
        let row = store.execution(&id).await.map_err(|error| status(&error))?;
        let files = store.files(&id).await.map_err(|error| status(&error))?;
        let denials = store.denials(&id).await.map_err(|error| status(&error))?;
        let usage = store.usage(&id).await.map_err(|error| status(&error))?;
        let approvals = store.approvals(&id).await.map_err(|error| status(&error))?;
        Ok(Response::new(wire::ShowExecutionReply {
            files: files.into_iter().map(convert::file).collect(),
            files_partial: row.files_partial,
            denials: denials.into_iter().map(convert::denial).collect(),
            usage: Some(convert::usage(usage)),
            approvals: approvals.into_iter().map(convert::approval).collect(),
            text: row.text.clone(),
            execution: Some(convert::execution(row)),
        }))
    }

    type FollowStream = BoxStream<'static, Result<wire::Event, Status>>;

    async fn follow(&self, request: Request<wire::FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let request = self.check(request)?;
        let id = Self::id(&request.execution)?;
        let store = self.supervisor.store().clone();
        let follower = Follower::start(store, id, request.after_seq).await.map_err(|error| status(&error))?;
        let start = (follower, self.closing.subscribe());
        let stream = futures::stream::unfold(start, move |(mut follower, mut closing)| async move {
            let waited = if request.no_wait || *closing.borrow() {
                None
            } else {
                tokio::select! {
                    next = follower.next() => Some(next),
                    _ = closing.wait_for(|closing| *closing) => None,
                }
            };
            // A daemon that goes down still says what is stored.
            let next = match waited {
                Some(next) => next,
                None => follower.next_stored().await,
            };
            let event = next.map(|event| event.map(convert::event)).map_err(|error| status(&error)).transpose()?;
            Some((event, (follower, closing)))
        });
        Ok(Response::new(stream.boxed()))
    }

    async fn cancel(&self, request: Request<wire::CancelRequest>) -> Result<Response<wire::CancelReply>, Status> {
        let id = Self::id(&self.check(request)?.execution)?;
        let outcome = self.supervisor.cancel(&id).await.map_err(|error| status(&error))?;
        Ok(Response::new(wire::CancelReply { outcome: outcome.name().to_owned() }))
    }

    async fn prune(&self, request: Request<wire::PruneRequest>) -> Result<Response<wire::PruneReply>, Status> {
        let request = self.check(request)?;
        // A client that forgot the field must not remove everything, nor nothing at all in silence.
        if request.ended_before_ms <= 0 {
            return Err(Status::invalid_argument("name the moment before which an execution ended"));
        }
        let store = self.supervisor.store();
        let pruned = match request.dry_run {
            true => store.prunable(request.ended_before_ms).await,
            false => store.prune(request.ended_before_ms).await,
        };
        let pruned = pruned.map_err(|error| status(&error))?;
        Ok(Response::new(wire::PruneReply {
            executions: pruned.executions.iter().map(ToString::to_string).collect(),
            bytes: pruned.bytes,
            kept: pruned.kept,
        }))
    }

    async fn answer(&self, request: Request<wire::AnswerRequest>) -> Result<Response<wire::AnswerReply>, Status> {
        let request = self.check(request)?;
        let id = Self::id(&request.execution)?;
        let answered = self.supervisor.answer(&id, &request.call, request.all, request.approve).await;
        let answered = answered.map_err(|error| status(&error))?;
        if answered.is_empty() && !request.all {
            return Err(Status::not_found("no such call waits for an answer"));
        }
        Ok(Response::new(wire::AnswerReply { answered: answered.into_iter().map(convert::approval).collect() }))
    }

    async fn set_secret(
        &self,
        request: Request<wire::SetSecretRequest>,
    ) -> Result<Response<wire::SetSecretReply>, Status> {
        let request = self.check(request)?;
        self.keep_secret(&request.name, &request.value, &request.origin)?;
        // Executions that waited for this key go on.
        self.supervisor.go_on().await.map_err(|error| status(&error))?;
        Ok(Response::new(wire::SetSecretReply {}))
    }

    async fn list_secrets(
        &self,
        request: Request<wire::ListSecretsRequest>,
    ) -> Result<Response<wire::ListSecretsReply>, Status> {
        self.check(request)?;
        let secrets = self.upstreams.secrets().into_iter();
        let secrets = secrets.map(|(name, origin)| wire::SecretInfo { name, origin }).collect();
        Ok(Response::new(wire::ListSecretsReply { secrets }))
    }

    async fn delete_secret(
        &self,
        request: Request<wire::DeleteSecretRequest>,
    ) -> Result<Response<wire::DeleteSecretReply>, Status> {
        let existed = self.upstreams.delete_secret(&self.check(request)?.name);
        Ok(Response::new(wire::DeleteSecretReply { existed }))
    }
}
