use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use hyper_util::rt::TokioIo;
use stigmer_proto::runner as wire;
use stigmer_proto::runner::from_daemon::Message;
use stigmer_proto::runner::{http_client::HttpClient, model_client::ModelClient, runner_client::RunnerClient};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};

use super::*;
use crate::store::{BlobRef, EntryKind, MAX_EVENT_BODY, NewEntry, NewEvent, StoredEntry};
use crate::supervisor::Outcome;

/// Keeps what it is given.
#[derive(Default)]
struct Kept {
    entries: Mutex<Vec<NewEntry>>,
    events: Mutex<Vec<NewEvent>>,
    denials: Mutex<Vec<RunnerDenial>>,
    answer: Option<bool>,
}

#[async_trait]
impl Journal for Kept {
    async fn append(
        &self,
        entries: Vec<NewEntry>,
        events: Vec<NewEvent>,
        denials: Vec<RunnerDenial>,
    ) -> Result<Vec<u64>, Refusal> {
        if entries.iter().any(|entry| entry.id == "too much") {
            return Err(Refusal::TooMuch("all is full".to_owned()));
        }
        let mut kept = self.entries.lock().unwrap();
        kept.extend(entries);
        self.events.lock().unwrap().extend(events);
        self.denials.lock().unwrap().extend(denials);
        Ok((1..=kept.len() as u64).collect())
    }

    fn replay(&self) -> BoxStream<'static, Result<Replayed, Refusal>> {
        let entry = |seq: u64| {
            let (id, body) = (seq.to_string(), Bytes::from_static(b"{}"));
            let entry = NewEntry { id, kind: EntryKind::TurnEnd, turn: 1, call: String::new(), body, blobs: vec![] };
            StoredEntry { seq, entry }
        };
        let all = [
            Replayed::Earlier("then".to_owned()),
            Replayed::History(entry(9)),
            Replayed::Own { entry: entry(1), held: true },
        ];
        futures::stream::iter(all.map(Ok)).boxed()
    }

    async fn put_blob(&self, data: Bytes) -> Result<BlobRef, Refusal> {
        Ok(BlobRef::of(&data))
    }

    async fn blob(&self, sha256: [u8; 32]) -> Result<Option<Bytes>, Refusal> {
        let data = Bytes::from(vec![7; 3 << 20]);
        Ok((BlobRef::of(&data).sha256 == sha256).then_some(data))
    }

    async fn ask(&self, _: Question) -> Result<Option<bool>, Refusal> {
        Ok(self.answer)
    }
}

/// Answers with the request's length and a body longer than a message.
struct Echo;

#[async_trait]
impl Model for Echo {
    async fn call(&self, call: ModelCall) -> Parts {
        let headers = vec![("x-length".to_owned(), Bytes::from(call.body.len().to_string()))];
        let parts = [Part::Head { status: 200, headers }, Part::Chunk(Bytes::from(vec![1; 3 << 20])), Part::End];
        futures::stream::iter(parts).boxed()
    }
}

fn serve_with(kept: Kept, work: Work) -> (Link, Channel, Arc<Kept>) {
    let (ours, theirs) = pair().unwrap();
    let journal = Arc::new(kept);
    let ports = Ports { journal: journal.clone(), model: Arc::new(Echo), http: Arc::new(NoHttp) };
    let link = serve(ours, work, ports).unwrap();
    let theirs = std::os::unix::net::UnixStream::from(theirs);
    theirs.set_nonblocking(true).unwrap();
    let mut theirs = Some(UnixStream::from_std(theirs).unwrap());
    let connector = tower::service_fn(move |_| {
        let stream = theirs.take().map(TokioIo::new);
        std::future::ready(stream.ok_or_else(|| std::io::Error::other("there is one stream")))
    });
    let channel = Endpoint::from_static("http://daemon").connect_with_connector_lazy(connector);
    (link, channel, journal)
}

fn execution() -> Work {
    Work::Execution(Box::new(ExecutionWork { id: "aex-1".to_owned(), ..ExecutionWork::default() }))
}

async fn lease(client: &mut RunnerClient<Channel>) -> Streaming<wire::FromDaemon> {
    let request = wire::LeaseRequest { version: env!("CARGO_PKG_VERSION").to_owned(), pid: 7 };
    client.lease(request).await.unwrap().into_inner()
}

async fn said(stream: &mut Streaming<wire::FromDaemon>) -> Message {
    stream.message().await.unwrap().unwrap().message.unwrap()
}

#[tokio::test]
async fn a_lease_hands_over_work_then_journal_then_says_what_comes() {
    let (mut link, channel, _) = serve_with(Kept::default(), execution());
    let mut client = RunnerClient::new(channel);
    let mut stream = lease(&mut client).await;
    assert!(matches!(link.next().await, Note::Leased { pid: 7 }));
    assert!(matches!(said(&mut stream).await, Message::Spec(_)));
    assert!(matches!(said(&mut stream).await, Message::Earlier(earlier) if earlier.message == "then"));
    assert!(matches!(said(&mut stream).await, Message::Entry(entry) if entry.seq == 9 && entry.history && !entry.held));
    assert!(matches!(said(&mut stream).await, Message::Entry(entry) if entry.seq == 1 && !entry.history && entry.held));
    assert!(matches!(said(&mut stream).await, Message::Start(_)));
    assert!(link.say(Say::Answer { call: "c".to_owned(), approved: true }));
    assert!(matches!(said(&mut stream).await, Message::Answer(answer) if answer.approved));
    let again = wire::LeaseRequest { version: env!("CARGO_PKG_VERSION").to_owned(), pid: 8 };
    assert_eq!(client.lease(again).await.unwrap_err().code(), Code::FailedPrecondition);
    drop(link);
    assert!(!matches!(stream.message().await, Ok(Some(_))), "the runner hears that its owner is gone");
}

#[tokio::test]
async fn nothing_is_taken_before_the_lease_from_another_version_or_after_the_result() {
    let (mut link, channel, _) = serve_with(Kept::default(), execution());
    let mut client = RunnerClient::new(channel);
    let code =
        |result: Result<_, tonic::Status>| result.map(|_: tonic::Response<wire::AppendReply>| ()).unwrap_err().code();
    assert_eq!(code(client.append(wire::AppendRequest::default()).await), Code::FailedPrecondition);
    let old = wire::LeaseRequest { version: "0.0.0".to_owned(), pid: 7 };
    assert_eq!(client.lease(old).await.unwrap_err().code(), Code::FailedPrecondition);
    let _stream = lease(&mut client).await;
    client.append(wire::AppendRequest::default()).await.unwrap();
    let outcome = |outcome: &str| wire::FinishRequest {
        part: Some(wire::finish_request::Part::Outcome(wire::Outcome {
            outcome: outcome.to_owned(),
            text: "done".to_owned(),
            ..Default::default()
        })),
    };
    let nonsense = client.finish(futures::stream::iter([outcome("brilliant")])).await.unwrap_err();
    assert_eq!(nonsense.code(), Code::InvalidArgument);
    client.finish(futures::stream::iter([outcome("completed")])).await.unwrap();
    assert!(matches!(link.next().await, Note::Leased { .. }));
    match link.next().await {
        Note::Finished { end, .. } => assert_eq!((end.outcome, end.text.as_str()), (Outcome::Completed, "done")),
        other => panic!("{other:?}"),
    }
    assert_eq!(code(client.append(wire::AppendRequest::default()).await), Code::FailedPrecondition);
}

#[tokio::test]
async fn what_a_runner_reports_is_checked() {
    let (mut link, channel, kept) = serve_with(Kept::default(), execution());
    let mut client = RunnerClient::new(channel);
    let _stream = lease(&mut client).await;
    assert!(matches!(link.next().await, Note::Leased { .. }));
    let entry = |id: &str, kind: wire::EntryKind, body: &'static [u8]| wire::Entry {
        id: id.to_owned(),
        kind: kind.into(),
        body: Bytes::from_static(body),
        ..Default::default()
    };
    let event =
        |kind: &str, body: Vec<u8>| wire::EventDraft { kind: kind.to_owned(), body: body.into(), ..Default::default() };
    let denial = br#"{"rule":"outside-roots","subject":"read /x","reason":"no","grant":null,"wall":"plugin"}"#;
    let padded = |length: usize| format!("{{{}}}", " ".repeat(length - 2)).into_bytes();
    type Case = (Vec<wire::Entry>, Vec<wire::EventDraft>, Option<Code>);
    let cases: Vec<Case> = vec![
        (vec![entry("a", wire::EntryKind::TurnBegin, b"{}")], vec![event("turn", b"{}".to_vec())], None),
        (vec![], vec![event("denial", denial.to_vec())], None),
        (vec![], vec![event("text_delta", padded(MAX_EVENT_BODY))], None),
        (vec![], vec![event("text_delta", padded(MAX_EVENT_BODY + 1))], Some(Code::ResourceExhausted)),
        (vec![entry("", wire::EntryKind::TurnBegin, b"{}")], vec![], Some(Code::InvalidArgument)),
        (vec![entry("a", wire::EntryKind::Unspecified, b"{}")], vec![], Some(Code::InvalidArgument)),
        (vec![entry("a", wire::EntryKind::TurnBegin, b"[]")], vec![], Some(Code::InvalidArgument)),
        // The trusted half's own words.
        (vec![], vec![event("ended", b"{}".to_vec())], Some(Code::InvalidArgument)),
        (vec![], vec![event("approval_answered", b"{}".to_vec())], Some(Code::InvalidArgument)),
        (vec![], vec![event("denial", b"{}".to_vec())], Some(Code::InvalidArgument)),
        (vec![entry("too much", wire::EntryKind::TurnBegin, b"{}")], vec![], Some(Code::ResourceExhausted)),
    ];
    for (number, (entries, events, want)) in cases.into_iter().enumerate() {
        let result = client.append(wire::AppendRequest { entries, events }).await;
        assert_eq!(result.err().map(|status| status.code()), want, "case {number}");
    }
    assert_eq!(kept.entries.lock().unwrap().len(), 1);
    assert_eq!(kept.events.lock().unwrap().len(), 2);
    assert_eq!(kept.denials.lock().unwrap()[0].wall, Some(stigmer_policy::Wall::Plugin));
    assert!(matches!(link.next().await, Note::Progress));
    assert!(matches!(link.next().await, Note::Full(what) if what == "all is full"));
}

#[tokio::test]
async fn a_message_above_the_bound_is_refused() {
    let (_link, channel, _) = serve_with(Kept::default(), execution());
    let mut client = RunnerClient::new(channel);
    let _stream = lease(&mut client).await;
    let chunk = |length: usize| futures::stream::iter([wire::Chunk { data: vec![0; length].into() }]);
    client.put_blob(chunk(stigmer_proto::MAX_MESSAGE - 64)).await.unwrap();
    let refused = client.put_blob(chunk(stigmer_proto::MAX_MESSAGE + 1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    let many = futures::stream::iter((0..9).map(|_| wire::Chunk { data: vec![0; 1_000_000].into() }));
    assert_eq!(client.put_blob(many).await.unwrap_err().code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn long_bodies_travel_in_chunks_both_ways() {
    let (_link, channel, _) = serve_with(Kept::default(), execution());
    let mut client = RunnerClient::new(channel.clone());
    let _stream = lease(&mut client).await;
    let blob = BlobRef::of(&[7; 3 << 20]);
    let request = wire::Blob { sha256: Bytes::copy_from_slice(&blob.sha256), size: blob.size };
    let mut chunks = client.get_blob(request).await.unwrap().into_inner();
    let mut length = 0;
    while let Some(chunk) = chunks.message().await.unwrap() {
        length += chunk.data.len();
    }
    assert_eq!(length, 3 << 20);
    let unknown = wire::Blob { sha256: vec![0; 32].into(), size: 1 };
    assert_eq!(client.get_blob(unknown).await.unwrap_err().code(), Code::NotFound);

    use wire::http_reply::Part as Sent;
    use wire::model_request::Part;
    let head = wire::ModelHead { provider: "p".to_owned(), ..Default::default() };
    let chunk = || wire::ModelRequest { part: Some(Part::Chunk(vec![0; 500_000].into())) };
    let request = futures::stream::iter([wire::ModelRequest { part: Some(Part::Head(head)) }, chunk(), chunk()]);
    let mut reply = ModelClient::new(channel.clone()).call(request).await.unwrap().into_inner();
    let (mut body, mut ended) = (0, false);
    while let Some(part) = reply.message().await.unwrap() {
        match part.part.unwrap() {
            Sent::Head(head) => assert_eq!(head.headers[0].value, "1000000"),
            Sent::Chunk(bytes) => body += bytes.len(),
            Sent::End(_) => ended = true,
            Sent::Failure(failure) => panic!("{failure:?}"),
        }
    }
    assert!(ended);
    assert_eq!(body, 3 << 20);

    let head = wire::PluginHead { url: "https://example.com/".to_owned(), ..Default::default() };
    let request = wire::PluginRequest { part: Some(wire::plugin_request::Part::Head(head)) };
    let mut reply = HttpClient::new(channel).call(futures::stream::iter([request])).await.unwrap().into_inner();
    match reply.message().await.unwrap().unwrap().part.unwrap() {
        Sent::Failure(failure) => {
            assert_eq!(failure.kind(), wire::FailureKind::Denied);
            let denial: stigmer_policy::Denial = serde_json::from_slice(&failure.denial).unwrap();
            assert_eq!(denial.rule, stigmer_policy::Rule::NetworkOff);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_question_that_was_answered_before_is_answered_at_once() {
    for answer in [Some(true), Some(false), None] {
        let (mut link, channel, _) = serve_with(Kept { answer, ..Kept::default() }, execution());
        let mut client = RunnerClient::new(channel);
        let mut stream = lease(&mut client).await;
        while !matches!(said(&mut stream).await, Message::Start(_)) {}
        assert!(matches!(link.next().await, Note::Leased { .. }));
        let ask = wire::AskRequest { call: "c".to_owned(), argv: vec!["ls".into()], ..Default::default() };
        client.ask(ask).await.unwrap();
        match answer {
            Some(approved) => {
                assert!(matches!(said(&mut stream).await, Message::Answer(said) if said.approved == approved));
            }
            None => assert!(matches!(link.next().await, Note::Asked)),
        }
    }
}

#[tokio::test]
async fn only_work_that_asks_for_bytes_may_return_them() {
    let finish = || {
        use wire::finish_request::Part;
        let outcome = wire::Outcome { outcome: "completed".to_owned(), ..Default::default() };
        let part = |part| wire::FinishRequest { part: Some(part) };
        futures::stream::iter([part(Part::Outcome(outcome)), part(Part::Chunk(Bytes::from_static(b"code")))])
    };
    let (_link, channel, _) = serve_with(Kept::default(), execution());
    let mut client = RunnerClient::new(channel);
    let _stream = lease(&mut client).await;
    assert_eq!(client.finish(finish()).await.unwrap_err().code(), Code::ResourceExhausted);

    let (mut link, channel, _) = serve_with(Kept::default(), Work::Compile { wasm_fd: 3 });
    let mut client = RunnerClient::new(channel);
    let _stream = lease(&mut client).await;
    client.finish(finish()).await.unwrap();
    assert!(matches!(link.next().await, Note::Leased { .. }));
    assert!(matches!(link.next().await, Note::Finished { bytes, .. } if bytes == "code"));
}
