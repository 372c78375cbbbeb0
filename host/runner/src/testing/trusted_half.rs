//! A trusted half: the generated services over a socket pair, with a scripted model.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stigmer_proto::runner as wire;
use stigmer_proto::runner::from_daemon::Message;
use stigmer_proto::runner::model_server::{Model, ModelServer};
use stigmer_proto::runner::runner_server::{Runner, RunnerServer};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

/// What the runner did, in the order in which it arrived.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// Kind and body of an entry.
    Entry(String, Value),
    /// Kind, call and body of an event.
    Event(String, String, Value),
    /// A request to the model; its JSON.
    Model(Value),
    Asked(wire::AskRequest),
}

pub(crate) struct Half {
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) blobs: Mutex<HashMap<Bytes, Bytes>>,
    /// Bodies of the answers to come; when none is left the model never answers.
    pub(crate) model: Mutex<VecDeque<Bytes>>,
    pub(crate) finished: Mutex<Option<(wire::Outcome, Bytes)>>,
    lease: Mutex<Option<mpsc::Receiver<Result<wire::FromDaemon, Status>>>>,
    pub(crate) say: Mutex<Option<mpsc::Sender<Result<wire::FromDaemon, Status>>>>,
    noticed: tokio::sync::Notify,
    /// Append answers with this from now on.
    pub(crate) refuses: Mutex<Option<Status>>,
    server: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

/// Starts one that leases `work` and tells this before the start. The second value is the runner's end of the stream.
pub(crate) fn start(
    work: wire::spec::Work,
    past: Vec<Message>,
    model: impl IntoIterator<Item = Bytes>,
) -> (Arc<Half>, OwnedFd) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let (say, lease) = mpsc::channel(1024);
    let first = std::iter::once(Message::Spec(wire::Spec { work: Some(work) }))
        .chain(past)
        .chain([Message::Start(wire::Start {})]);
    first.for_each(|message| say.try_send(Ok(wire::FromDaemon { message: Some(message) })).unwrap());
    let half = Arc::new(Half {
        seen: Mutex::default(),
        blobs: Mutex::default(),
        model: Mutex::new(model.into_iter().collect()),
        finished: Mutex::default(),
        lease: Mutex::new(Some(lease)),
        say: Mutex::new(Some(say)),
        noticed: tokio::sync::Notify::new(),
        refuses: Mutex::default(),
        server: Mutex::default(),
    });
    let limit = stigmer_proto::MAX_MESSAGE;
    let router = tonic::transport::Server::builder()
        .add_service(RunnerServer::from_arc(Arc::clone(&half)).max_decoding_message_size(limit))
        .add_service(ModelServer::from_arc(Arc::clone(&half)).max_decoding_message_size(limit));
    let stream = UnixStream::from_std(ours).unwrap();
    let incoming = tokio_stream::iter([Ok::<_, std::io::Error>(stream)]).chain(tokio_stream::pending());
    let server = tokio::spawn(async move { drop(router.serve_with_incoming(incoming).await) });
    *half.server.lock().unwrap() = Some(server);
    (half, theirs.into())
}

impl Half {
    pub(crate) async fn say(&self, message: Message) {
        let say = self.say.lock().unwrap().clone().unwrap();
        say.send(Ok(wire::FromDaemon { message: Some(message) })).await.unwrap();
    }

    /// The stream ends, as when the trusted half dies.
    pub(crate) fn die(&self) {
        drop(self.say.lock().unwrap().take());
        if let Some(server) = self.server.lock().unwrap().take() {
            server.abort();
        }
    }

    /// Waits until something that was seen fits.
    pub(crate) async fn until<T>(&self, what: &str, fits: impl Fn(&Seen) -> Option<T>) -> T {
        super::within(what, async {
            loop {
                let noticed = self.noticed.notified();
                if let Some(found) = self.seen.lock().unwrap().iter().find_map(&fits) {
                    return found;
                }
                noticed.await;
            }
        })
        .await
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Kinds of entries and events in their order, events as `kind`, entries as `[kind]`.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let kind = |seen: &Seen| match seen {
            Seen::Entry(kind, _) => Some(format!("[{kind}]")),
            Seen::Event(kind, ..) => Some(kind.clone()),
            _ => None,
        };
        self.all().iter().filter_map(kind).collect()
    }

    /// Bodies of the events of one kind.
    pub(crate) fn events(&self, wanted: &str) -> Vec<Value> {
        let body = |seen: Seen| match seen {
            Seen::Event(kind, _, body) if kind == wanted => Some(body),
            _ => None,
        };
        self.all().into_iter().filter_map(body).collect()
    }

    /// Texts of the tool results in the last message of the latest request to the model.
    pub(crate) fn results(&self) -> Vec<String> {
        let request = self.all().into_iter().rev().find_map(|seen| match seen {
            Seen::Model(request) => Some(request),
            _ => None,
        });
        let request = request.expect("a request");
        let last = request["messages"].as_array().unwrap().last().unwrap()["content"].as_array().unwrap().clone();
        let results = last.iter().filter(|block| block["type"] == "tool_result");
        results.map(|block| block["content"].as_str().unwrap().to_owned()).collect()
    }

    fn notice(&self, seen: impl IntoIterator<Item = Seen>) {
        self.seen.lock().unwrap().extend(seen);
        self.noticed.notify_waiters();
    }

    fn take(&self, entries: Vec<wire::Entry>, events: Vec<wire::EventDraft>) -> Result<u64, Status> {
        if let Some(status) = self.refuses.lock().unwrap().clone() {
            return Err(status);
        }
        let object = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
        let events = events.into_iter().map(|event| {
            assert!(event.body.len() <= 64 << 10, "an event of {} bytes", event.body.len());
            Seen::Event(event.kind, event.call, object(&event.body))
        });
        let count = entries.len() as u64;
        let entries = entries.into_iter().map(|entry| {
            assert!(entry.body.len() <= 64 << 10, "an entry of {} bytes", entry.body.len());
            let known = self.blobs.lock().unwrap();
            assert!(entry.blobs.iter().all(|blob| known.contains_key(&blob.sha256)), "a blob is stored before");
            let kind = entry.kind().as_str_name().trim_start_matches("ENTRY_KIND_").to_ascii_lowercase();
            Seen::Entry(kind, object(&entry.body))
        });
        self.notice(events.chain(entries));
        Ok(count)
    }
}

type Stream<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl Runner for Half {
    type LeaseStream = Stream<wire::FromDaemon>;
    async fn lease(&self, _: Request<wire::LeaseRequest>) -> Result<Response<Self::LeaseStream>, Status> {
        let lease = self.lease.lock().unwrap().take().ok_or_else(|| Status::failed_precondition("leased already"))?;
        Ok(Response::new(tokio_stream::wrappers::ReceiverStream::new(lease).boxed()))
    }

    async fn append(&self, request: Request<wire::AppendRequest>) -> Result<Response<wire::AppendReply>, Status> {
        let request = request.into_inner();
        let count = self.take(request.entries, request.events)?;
        Ok(Response::new(wire::AppendReply { seqs: (1..=count).collect() }))
    }

    async fn events(&self, request: Request<wire::EventsRequest>) -> Result<Response<wire::EventsReply>, Status> {
        self.take(Vec::new(), request.into_inner().events)?;
        Ok(Response::new(wire::EventsReply {}))
    }

    async fn put_blob(&self, request: Request<Streaming<wire::Chunk>>) -> Result<Response<wire::Blob>, Status> {
        let mut chunks = request.into_inner();
        let mut data = Vec::new();
        while let Some(chunk) = chunks.message().await? {
            data.extend_from_slice(&chunk.data);
        }
        let blob = wire::Blob { sha256: Bytes::copy_from_slice(&Sha256::digest(&data)), size: data.len() as u64 };
        self.blobs.lock().unwrap().insert(blob.sha256.clone(), data.into());
        Ok(Response::new(blob))
    }

    type GetBlobStream = Stream<wire::Chunk>;
    async fn get_blob(&self, request: Request<wire::Blob>) -> Result<Response<Self::GetBlobStream>, Status> {
        let data = self.blobs.lock().unwrap().get(&request.into_inner().sha256).cloned();
        let data = data.ok_or_else(|| Status::not_found("no such blob"))?;
        Ok(Response::new(tokio_stream::iter(crate::rpc::chunks(data).map(|data| Ok(wire::Chunk { data }))).boxed()))
    }

    async fn ask(&self, request: Request<wire::AskRequest>) -> Result<Response<wire::AskReply>, Status> {
        self.notice([Seen::Asked(request.into_inner())]);
        Ok(Response::new(wire::AskReply {}))
    }

    async fn finish(
        &self,
        request: Request<Streaming<wire::FinishRequest>>,
    ) -> Result<Response<wire::FinishReply>, Status> {
        use wire::finish_request::Part;
        let mut parts = request.into_inner();
        let Some(Part::Outcome(outcome)) = parts.message().await?.and_then(|part| part.part) else {
            return Err(Status::invalid_argument("the outcome comes first"));
        };
        let mut bytes = Vec::new();
        while let Some(part) = parts.message().await? {
            let Some(Part::Chunk(chunk)) = part.part else { return Err(Status::invalid_argument("then bytes")) };
            bytes.extend_from_slice(&chunk);
        }
        *self.finished.lock().unwrap() = Some((outcome, bytes.into()));
        Ok(Response::new(wire::FinishReply {}))
    }
}

#[tonic::async_trait]
impl Model for Half {
    type CallStream = Stream<wire::HttpReply>;
    async fn call(
        &self,
        request: Request<Streaming<wire::ModelRequest>>,
    ) -> Result<Response<Self::CallStream>, Status> {
        use wire::http_reply::Part;
        use wire::model_request::Part as Sent;
        let mut parts = request.into_inner();
        let Some(Sent::Head(head)) = parts.message().await?.and_then(|part| part.part) else {
            return Err(Status::invalid_argument("the head comes first"));
        };
        assert_eq!((head.provider.as_str(), head.model.as_str(), head.path.as_str()), ("script", "m", "/v1/messages"));
        let mut body = Vec::new();
        while let Some(part) = parts.message().await? {
            let Some(Sent::Chunk(chunk)) = part.part else { return Err(Status::invalid_argument("then bytes")) };
            body.extend_from_slice(&chunk);
        }
        self.notice([Seen::Model(serde_json::from_slice(&body).unwrap())]);
        let Some(answer) = self.model.lock().unwrap().pop_front() else {
            return Ok(Response::new(tokio_stream::pending().boxed()));
        };
        let head = Part::Head(wire::ReplyHead { status: 200, headers: Vec::new() });
        let parts = [head, Part::Chunk(answer), Part::End(wire::End {})];
        let parts = parts.map(|part| Ok(wire::HttpReply { part: Some(part) }));
        Ok(Response::new(tokio_stream::iter(parts).boxed()))
    }
}

/// One answer of the model as Anthropic streams it: calls as (tool, arguments), or words when there are none.
pub(crate) fn calling(calls: &[(&str, Value)]) -> Bytes {
    let mut events = vec![json!({ "type": "message_start", "message": { "usage": { "input_tokens": 1 } } })];
    for (index, (tool, args)) in calls.iter().enumerate() {
        let block = json!({ "type": "tool_use", "id": format!("toolu_{index}"), "name": tool, "input": {} });
        events.push(json!({ "type": "content_block_start", "index": index, "content_block": block }));
        let delta = json!({ "type": "input_json_delta", "partial_json": args.to_string() });
        events.push(json!({ "type": "content_block_delta", "index": index, "delta": delta }));
    }
    end(events, "tool_use")
}

/// One answer of words.
pub(crate) fn saying(text: &str) -> Bytes {
    let block = json!({ "type": "text", "text": "" });
    let delta = json!({ "type": "text_delta", "text": text });
    let events = vec![
        json!({ "type": "message_start", "message": { "usage": { "input_tokens": 1 } } }),
        json!({ "type": "content_block_start", "index": 0, "content_block": block }),
        json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
    ];
    end(events, "end_turn")
}

fn end(mut events: Vec<Value>, stop: &str) -> Bytes {
    events.push(json!({ "type": "message_delta", "delta": { "stop_reason": stop }, "usage": { "output_tokens": 2 } }));
    events.push(json!({ "type": "message_stop" }));
    events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>().into()
}
