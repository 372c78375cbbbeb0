//! `stigmer.runner.v1.Runner`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::sync::Arc;
use stigmer_proto::runner as wire;
use stigmer_proto::runner::from_daemon::Message;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

use super::link::{Note, Say};
use super::ports::{Ports, Refusal};
use super::work::Work;
use super::{MAX_RESULT, convert};
use crate::store::MAX_BLOB;
use crate::supervisor::{End, Outcome};

/// Entries that wait for a runner which reads slowly; the rest stays in the store.
const LEASE_QUEUE: usize = 16;

pub(super) struct Shared {
    pub(super) ports: Ports,
    work: Mutex<Option<Work>>,
    said: Mutex<Option<mpsc::Receiver<Say>>>,
    say: mpsc::Sender<Say>,
    notes: mpsc::Sender<Note>,
    leased: AtomicBool,
    finished: AtomicBool,
    /// Work that reports bytes rather than a conversation.
    result_limit: usize,
}

impl Shared {
    pub(super) fn new(
        work: Work,
        ports: Ports,
        notes: mpsc::Sender<Note>,
        say: mpsc::Sender<Say>,
        said: mpsc::Receiver<Say>,
    ) -> Self {
        let result_limit = if matches!(work, Work::Execution(_)) { 0 } else { MAX_RESULT };
        Shared {
            ports,
            work: Mutex::new(Some(work)),
            said: Mutex::new(Some(said)),
            say,
            notes,
            leased: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            result_limit,
        }
    }

    /// Refuses whatever comes before the lease or after the result.
    pub(super) fn at_work(&self) -> Result<(), Status> {
        if !self.leased.load(Ordering::Acquire) {
            return Err(Status::failed_precondition("lease first"));
        }
        if self.finished.load(Ordering::Acquire) {
            return Err(Status::failed_precondition("the result was given"));
        }
        Ok(())
    }

    async fn note(&self, note: Note) {
        // Without an owner there is nobody to tell, and the stream is about to close.
        let _ = self.notes.send(note).await;
    }

    async fn refused(&self, refusal: Refusal) -> Status {
        if let Refusal::TooMuch(what) = &refusal {
            self.note(Note::Full(what.clone())).await;
        }
        refusal.into()
    }
}

pub(super) struct Service(pub(super) Arc<Shared>);

#[tonic::async_trait]
impl wire::runner_server::Runner for Service {
    type LeaseStream = BoxStream<'static, Result<wire::FromDaemon, Status>>;

    async fn lease(&self, request: Request<wire::LeaseRequest>) -> Result<Response<Self::LeaseStream>, Status> {
        let request = request.into_inner();
        let ours = env!("CARGO_PKG_VERSION");
        if request.version != ours {
            return Err(Status::failed_precondition(format!("the daemon is version {ours}")));
        }
        let work = self.0.work.lock().unwrap_or_else(PoisonError::into_inner).take();
        let said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(work), Some(said)) = (work, said) else {
            return Err(Status::failed_precondition("the work was leased already"));
        };
        self.0.leased.store(true, Ordering::Release);
        self.0.note(Note::Leased { pid: request.pid }).await;
        let (out, stream) = mpsc::channel(LEASE_QUEUE);
        let shared = self.0.clone();
        tokio::spawn(async move {
            hand_over(&shared, work, said, &out).await;
            shared.note(Note::Gone).await;
        });
        Ok(Response::new(tokio_stream::wrappers::ReceiverStream::new(stream).boxed()))
    }

    async fn append(&self, request: Request<wire::AppendRequest>) -> Result<Response<wire::AppendReply>, Status> {
        self.0.at_work()?;
        let request = request.into_inner();
        let entries = convert::entries(request.entries)?;
        let (events, denials) = convert::events(request.events)?;
        let progress = !entries.is_empty();
        match self.0.ports.journal.append(entries, events, denials).await {
            Ok(seqs) => {
                if progress {
                    self.0.note(Note::Progress).await;
                }
                Ok(Response::new(wire::AppendReply { seqs }))
            }
            Err(refusal) => Err(self.0.refused(refusal).await),
        }
    }

    async fn events(&self, request: Request<wire::EventsRequest>) -> Result<Response<wire::EventsReply>, Status> {
        self.0.at_work()?;
        let (events, denials) = convert::events(request.into_inner().events)?;
        match self.0.ports.journal.append(Vec::new(), events, denials).await {
            Ok(_) => Ok(Response::new(wire::EventsReply {})),
            Err(refusal) => Err(self.0.refused(refusal).await),
        }
    }

    async fn put_blob(&self, request: Request<Streaming<wire::Chunk>>) -> Result<Response<wire::Blob>, Status> {
        self.0.at_work()?;
        let mut chunks = request.into_inner();
        let mut data = BytesMut::new();
        while let Some(chunk) = chunks.message().await? {
            grow(&mut data, &chunk.data, MAX_BLOB)?;
        }
        match self.0.ports.journal.put_blob(data.freeze()).await {
            Ok(blob) => Ok(Response::new(convert::sent_blob(blob))),
            Err(refusal) => Err(self.0.refused(refusal).await),
        }
    }

    type GetBlobStream = BoxStream<'static, Result<wire::Chunk, Status>>;

    async fn get_blob(&self, request: Request<wire::Blob>) -> Result<Response<Self::GetBlobStream>, Status> {
        self.0.at_work()?;
        let blob = convert::blob(request.into_inner())?;
        let data = self.0.ports.journal.blob(blob.sha256).await?;
        let data = data.ok_or_else(|| Status::not_found("no such blob"))?;
        let chunks = chunks(data).map(|data| Ok(wire::Chunk { data }));
        Ok(Response::new(futures::stream::iter(chunks).boxed()))
    }

    async fn ask(&self, request: Request<wire::AskRequest>) -> Result<Response<wire::AskReply>, Status> {
        self.0.at_work()?;
        let question = convert::question(request.into_inner())?;
        let call = question.call.clone();
        match self.0.ports.journal.ask(question).await? {
            Some(approved) => {
                let _ = self.0.say.send(Say::Answer { call, approved }).await;
            }
            None => self.0.note(Note::Asked).await,
        }
        Ok(Response::new(wire::AskReply {}))
    }

    async fn finish(
        &self,
        request: Request<Streaming<wire::FinishRequest>>,
    ) -> Result<Response<wire::FinishReply>, Status> {
        use wire::finish_request::Part;
        self.0.at_work()?;
        let mut parts = request.into_inner();
        let Some(wire::FinishRequest { part: Some(Part::Outcome(outcome)) }) = parts.message().await? else {
            return Err(Status::invalid_argument("the outcome comes first"));
        };
        let mut bytes = BytesMut::new();
        while let Some(part) = parts.message().await? {
            match part.part {
                Some(Part::Chunk(chunk)) => grow(&mut bytes, &chunk, self.0.result_limit)?,
                _ => return Err(Status::invalid_argument("one outcome, then bytes")),
            }
        }
        let how = Outcome::from_name(&outcome.outcome).ok_or_else(|| Status::invalid_argument("no such outcome"))?;
        let denial = match &outcome.denial[..] {
            [] => None,
            json => Some(serde_json::from_slice(json).map_err(|_| Status::invalid_argument("the denial is none"))?),
        };
        if self.0.finished.swap(true, Ordering::AcqRel) {
            return Err(Status::failed_precondition("the result was given"));
        }
        let end = End { outcome: how, reason: outcome.reason, text: outcome.text };
        self.0.note(Note::Finished { end, denial, bytes: bytes.freeze() }).await;
        Ok(Response::new(wire::FinishReply {}))
    }
}

/// Everything that a runner is told, until its stream ends.
async fn hand_over(
    shared: &Shared,
    work: Work,
    mut said: mpsc::Receiver<Say>,
    out: &mpsc::Sender<Result<wire::FromDaemon, Status>>,
) {
    let send = async |message| out.send(Ok(wire::FromDaemon { message: Some(message) })).await.is_ok();
    if !send(Message::Spec(convert::spec(work))).await {
        return;
    }
    let mut entries = shared.ports.journal.replay();
    while let Some(entry) = entries.next().await {
        match entry {
            Ok(entry) => {
                if !send(convert::replayed(entry)).await {
                    return;
                }
            }
            Err(refusal) => {
                let _ = out.send(Err(refusal.into())).await;
                return;
            }
        }
    }
    if !send(Message::Start(wire::Start {})).await {
        return;
    }
    loop {
        let say = tokio::select! {
            say = said.recv() => say,
            () = out.closed() => None,
        };
        let message = match say {
            Some(Say::Cancel { reason }) => Message::Cancel(wire::Cancel { reason }),
            Some(Say::Answer { call, approved }) => Message::Answer(wire::Answer { call, approved }),
            None => return,
        };
        if !send(message).await {
            return;
        }
    }
}

/// Appends within a bound.
pub(super) fn grow(data: &mut BytesMut, chunk: &Bytes, limit: usize) -> Result<(), Status> {
    if data.len() + chunk.len() > limit {
        return Err(Status::resource_exhausted(format!("more than {limit} bytes")));
    }
    data.extend_from_slice(chunk);
    Ok(())
}

/// Cuts bytes into pieces that fit a message.
pub(super) fn chunks(mut data: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || (!data.is_empty()).then(|| data.split_to(data.len().min(stigmer_proto::CHUNK))))
}
