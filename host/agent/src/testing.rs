//! Fakes for the tests of the loop: a scripted model, a journal in memory, a clock that never waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::agent::{Agent, Finished, Parts, Task};
use crate::call::CallId;
use crate::clock::Clock;
use crate::events::{Event, Events};
use crate::history::History;
use crate::journal::{Entry, Journal, JournalError};
use crate::model::Protocol;
use crate::spill::{Spill, SpillError};
use crate::tool::Tool;
use crate::toolset::ToolSet;
use crate::transport::{ModelRequest, ModelResponse, ModelTransport, TransportError};

/// What the scripted model does with one request.
pub(crate) enum Reply {
    Http {
        status: u16,
        headers: Vec<(String, String)>,
        chunks: Vec<Result<Bytes, TransportError>>,
        stalls: bool,
    },
    Error(TransportError),
    /// Never answers.
    Hang,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<Bytes>) -> Self {
        Reply::Http { status: 200, headers: Vec::new(), chunks: vec![Ok(body.into())], stalls: false }
    }

    pub(crate) fn status(status: u16, retry_after: Option<&str>) -> Self {
        let headers = retry_after.map(|value| ("retry-after".to_owned(), value.to_owned())).into_iter().collect();
        let body = Bytes::from_static(br#"{"error":{"type":"x","message":"busy"}}"#);
        Reply::Http { status, headers, chunks: vec![Ok(body)], stalls: false }
    }
}

/// One turn of Anthropic's stream: text, then calls as (tool, JSON text of the arguments).
pub(crate) fn turn(text: &str, calls: &[(&str, &str)], stop: &str) -> Bytes {
    let mut events = vec![json!({ "type": "message_start", "message": { "usage": { "input_tokens": 1 } } })];
    if !text.is_empty() {
        events.push(
            json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        );
        events.push(
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } }),
        );
    }
    for (place, (tool, args)) in calls.iter().enumerate() {
        let index = place + 1;
        let block = json!({ "type": "tool_use", "id": format!("toolu_{index}"), "name": tool, "input": {} });
        events.push(json!({ "type": "content_block_start", "index": index, "content_block": block }));
        let delta = json!({ "type": "input_json_delta", "partial_json": args });
        events.push(json!({ "type": "content_block_delta", "index": index, "delta": delta }));
    }
    events.push(json!({ "type": "message_delta", "delta": { "stop_reason": stop }, "usage": { "output_tokens": 2 } }));
    events.push(json!({ "type": "message_stop" }));
    events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>().into()
}

pub(crate) fn calling(calls: &[(&str, &str)]) -> Reply {
    Reply::ok(turn("", calls, "tool_use"))
}

pub(crate) fn saying(text: &str) -> Reply {
    Reply::ok(turn(text, &[], "end_turn"))
}

#[derive(Default)]
pub(crate) struct Model {
    replies: Mutex<VecDeque<Reply>>,
    pub(crate) requests: Mutex<Vec<ModelRequest>>,
}

#[async_trait]
impl ModelTransport for Model {
    async fn send(&self, request: ModelRequest) -> Result<ModelResponse, TransportError> {
        self.requests.lock().unwrap().push(request);
        let reply = self.replies.lock().unwrap().pop_front().expect("the script has a reply for each request");
        match reply {
            Reply::Http { status, headers, chunks, stalls } => {
                let end = if stalls { stream::pending().boxed() } else { stream::empty().boxed() };
                Ok(ModelResponse { status, headers, body: stream::iter(chunks).chain(end).boxed() })
            }
            Reply::Error(error) => Err(error),
            Reply::Hang => std::future::pending().await,
        }
    }
}

/// Keeps each commit apart, and refuses from commit number `fails_from` (from 0) on.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) commits: Mutex<Vec<Vec<Entry>>>,
    pub(crate) fails_from: Option<usize>,
}

impl Memory {
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.commits.lock().unwrap().iter().flatten().cloned().collect()
    }
}

#[async_trait]
impl Journal for Memory {
    async fn commit(&self, entries: Vec<Entry>) -> Result<(), JournalError> {
        let mut commits = self.commits.lock().unwrap();
        if self.fails_from.is_some_and(|from| commits.len() >= from) {
            return Err(JournalError::Lost("gone".to_owned()));
        }
        commits.push(entries);
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct Seen(pub(crate) Mutex<Vec<Event>>);

#[async_trait]
impl Events for Seen {
    async fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// Returns at once from each sleep and remembers it. A ready stream wins over it, so only a silent one stalls.
pub(crate) struct QuickClock {
    pub(crate) sleeps: Mutex<Vec<Duration>>,
    now: Instant,
}

#[async_trait]
impl Clock for QuickClock {
    fn now(&self) -> Instant {
        self.now
    }
    async fn sleep(&self, time: Duration) {
        self.sleeps.lock().unwrap().push(time);
    }
    fn jitter(&self) -> f64 {
        0.0
    }
}

#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) files: Mutex<Vec<(CallId, Bytes)>>,
    pub(crate) full: bool,
}

#[async_trait]
impl Spill for Scratch {
    async fn spill(&self, call: CallId, whole: Bytes) -> Result<String, SpillError> {
        if self.full {
            return Err(SpillError("no space left".to_owned()));
        }
        self.files.lock().unwrap().push((call, whole));
        Ok(format!("/scratch/{call}"))
    }
}

/// An agent over fakes; change what a test needs, then [`Bench::run`].
pub(crate) struct Bench {
    pub(crate) model: Arc<Model>,
    pub(crate) journal: Arc<Memory>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) clock: Arc<QuickClock>,
    pub(crate) scratch: Arc<Scratch>,
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    pub(crate) task: Task,
    pub(crate) history: History,
    pub(crate) cancel: CancellationToken,
}

impl Bench {
    pub(crate) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Bench {
            model: Arc::new(Model { replies: Mutex::new(replies.into_iter().collect()), ..Model::default() }),
            journal: Arc::default(),
            seen: Arc::default(),
            clock: Arc::new(QuickClock { sleeps: Mutex::default(), now: Instant::now() }),
            scratch: Arc::default(),
            tools: Vec::new(),
            task: Task {
                protocol: Protocol::Anthropic,
                model: "m".to_owned(),
                system: "s".to_owned(),
                earlier: Vec::new(),
                message: "hello".to_owned(),
                max_turns: crate::limits::MAX_TURNS,
                scratch_lost: false,
            },
            history: History::default(),
            cancel: CancellationToken::new(),
        }
    }

    pub(crate) fn tool(mut self, tool: impl Tool + 'static) -> Self {
        self.tools.push(Arc::new(tool));
        self
    }

    pub(crate) async fn run(&self) -> Finished {
        let parts = Parts {
            model: self.model.clone(),
            journal: self.journal.clone(),
            events: self.seen.clone(),
            clock: self.clock.clone(),
            spill: self.scratch.clone(),
        };
        let agent = Agent::new(parts, ToolSet::new(self.tools.clone()).unwrap());
        let run = agent.run(&self.task, self.history.clone(), &self.cancel);
        // Only a guard: a test that waits for something that never comes should say so.
        tokio::time::timeout(Duration::from_secs(60), run).await.expect("the run ends")
    }

    /// Bodies of the requests so far.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        let requests = self.model.requests.lock().unwrap();
        requests.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
    }

    /// The text of each tool result in the last message of request number `place` (from 0).
    pub(crate) fn results(&self, place: usize) -> Vec<String> {
        let body = &self.bodies()[place];
        let last = body["messages"].as_array().unwrap().last().unwrap()["content"].as_array().unwrap().clone();
        let results = last.iter().filter(|block| block["type"] == "tool_result");
        results.map(|block| block["content"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.seen.0.lock().unwrap().clone()
    }

    pub(crate) fn sleeps(&self) -> Vec<u64> {
        self.clock.sleeps.lock().unwrap().iter().map(Duration::as_secs).collect()
    }
}

pub(crate) use tools::{Answering, answer, echo};

mod tools;
