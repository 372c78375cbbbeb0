//! An agent whose model asks for one line after the other, each by a call of its own, until it is told that it is enough.

use std::collections::{BTreeMap, HashMap};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use stigmer_policy::Level;
use stigmer_tests::model_server::{Answer, Asked, ModelServer};
use stigmer_tests::processes::marked;
use stigmer_tests::product::{Product, level_flags, show};

const PATIENCE: Duration = Duration::from_secs(60);
/// Within this time nothing of a command may be left; far less than what it takes by itself.
const GONE: Duration = Duration::from_secs(20);

/// Where the lines go.
const LINES: &str = "lines";

pub(crate) struct World {
    level: Level,
    product: Product,
    /// Among the arguments of the first command's processes.
    marker: String,
    daemon: i32,
    client: Child,
    enough: Arc<AtomicBool>,
    /// The last request's messages.
    seen: Arc<Mutex<Vec<Value>>>,
    server: ModelServer,
    /// Requests before the last kill.
    before: usize,
    since: Instant,
    // Connections are served while the product is waited for.
    _runtime: tokio::runtime::Runtime,
}

/// What became of each call, as the model was told.
enum Told {
    Finished,
    Interrupted,
}

impl World {
    pub(crate) fn start(product: Product, level: Level) -> World {
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = threads.expect("threads");
        let (enough, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let marker = format!("first-{}-{}", std::process::id(), product.home().display());
        let first = format!("setsid sh -c 'sleep 90; :' {marker} & sh -c 'sleep 90; :' {marker}");
        let (said, kept) = (Arc::clone(&enough), Arc::clone(&seen));
        let model = move |asked: &Asked| {
            let messages = messages(asked);
            let answer = next(&messages, &first, said.load(Ordering::SeqCst));
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = messages;
            answer
        };
        let server = runtime.block_on(ModelServer::answering(model)).expect("loopback has a free port");
        let daemon = start(&product, level, &server);
        let client = product
            .command(&["run", "-m", "write lines", "--approve", "auto", "--provider", "anthropic", "--model", "lines"])
            .envs(keys(&server))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the product starts");
        let since = Instant::now();
        World { level, product, marker, daemon, client, enough, seen, server, before: 0, since, _runtime: runtime }
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    pub(crate) fn daemon(&self) -> i32 {
        self.daemon
    }

    /// The daemon of before was killed; another one takes its place.
    pub(crate) fn start_daemon(&mut self) {
        self.daemon = start(&self.product, self.level, &self.server);
    }

    pub(crate) fn asked(&self) -> usize {
        self.server.asked().len()
    }

    /// A kill came after `before` requests.
    pub(crate) fn killed_after(&mut self, before: usize) {
        (self.before, self.since) = (before, Instant::now());
    }

    /// Lets others work; fails when there was nothing new for too long.
    pub(crate) fn wait_a_moment(&self, what: &str) {
        assert!(self.since.elapsed() < PATIENCE, "{what}, at {}: {}", self.level.name(), self.newest());
        std::thread::sleep(Duration::from_millis(2));
    }

    pub(crate) fn until_the_model_is_asked(&self) {
        while self.asked() <= self.before {
            self.wait_a_moment("the model is not asked");
        }
    }

    pub(crate) fn until_a_call_runs(&self) {
        while self.lines().is_empty() {
            self.wait_a_moment("no line is written");
        }
    }

    /// Nothing of the command that was in flight at the first kill lives on, also what left its session.
    pub(crate) fn until_the_first_call_is_gone(&self) {
        while !marked(&self.marker).is_empty() {
            assert!(self.since.elapsed() < GONE, "at {} {:?} live on", self.level.name(), marked(&self.marker));
            self.wait_a_moment("a command lives on");
        }
    }

    fn lines(&self) -> Vec<usize> {
        let text = std::fs::read_to_string(self.product.workspace().join(LINES)).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap_or_else(|_| panic!("not a line of ours: `{line}`"))).collect()
    }

    fn newest(&self) -> Value {
        let list = self.product.run(&["execution", "list", "--json"], b"");
        serde_json::from_slice(&list.stdout).map_or(Value::Null, |list: Value| list["executions"][0].clone())
    }

    /// Has the model end it, and waits for that.
    pub(crate) fn finish(&mut self) {
        // Something is finished in any case, wherever the kills fell.
        while self.asked() <= self.before + 3 {
            self.wait_a_moment("the model is not asked");
        }
        self.enough.store(true, Ordering::SeqCst);
        while self.newest()["outcome"].as_str().is_none_or(str::is_empty) {
            self.wait_a_moment("it does not end");
        }
        let _ = self.client.wait();
    }

    /// At the end: one line per finished call, at most one per interrupted one, and no call of which the model was told
    /// nothing.
    pub(crate) fn compare(&self, kills: usize) {
        let end = self.newest();
        assert_eq!(end["outcome"].as_str(), Some("completed"), "{end}");
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told(&seen);
        let mut lines: BTreeMap<usize, usize> = BTreeMap::new();
        for line in self.lines() {
            *lines.entry(line).or_default() += 1;
        }
        let calls = calls(&seen);
        let interrupted = told.values().filter(|told| matches!(told, Told::Interrupted)).count();
        assert!((1..=kills).contains(&interrupted), "{interrupted} interrupted calls of {kills} kills");
        assert!(told.len() > interrupted, "nothing was finished");
        for call in 0..calls {
            let count = lines.remove(&call).unwrap_or(0);
            match told.get(&call) {
                Some(Told::Finished) => assert_eq!(count, 1, "lines of the finished call {call}"),
                Some(Told::Interrupted) => assert!(count <= 1, "{count} lines of the interrupted call {call}"),
                None => panic!("the model was told nothing of call {call}, which wrote {count} lines"),
            }
        }
        assert!(lines.is_empty(), "lines of calls that the model never asked for: {lines:?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Also after a failure nothing of this test's goes on.
        let _ = self.client.kill();
        let _ = self.client.wait();
        let _ = self.product.command(&["local", "stop"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn start(product: &Product, level: Level, server: &ModelServer) -> i32 {
    let mut arguments = vec!["local", "start", "--provider", "anthropic", "--model", "lines"];
    arguments.extend(level_flags(level));
    let output = product.command(&arguments).envs(keys(server)).stdin(Stdio::null()).output().expect("starts");
    assert!(output.status.success(), "{}", show(&output));
    product.daemon()
}

fn keys(server: &ModelServer) -> [(&'static str, String); 2] {
    [("ANTHROPIC_API_KEY", "sk-ant-lines".to_owned()), ("ANTHROPIC_BASE_URL", server.url())]
}

fn messages(asked: &Asked) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    body["messages"].as_array().cloned().unwrap_or_default()
}

fn parts<'a>(messages: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let parts = messages.iter().flat_map(|message| message["content"].as_array().into_iter().flatten());
    parts.filter(move |part| part["type"] == kind)
}

fn calls(messages: &[Value]) -> usize {
    parts(messages, "tool_use").count()
}

fn told(messages: &[Value]) -> HashMap<usize, Told> {
    let results = parts(messages, "tool_result").map(|result| {
        let call = result["tool_use_id"].as_str().and_then(|id| id.strip_prefix("line-")?.parse().ok());
        let call = call.unwrap_or_else(|| panic!("a result of no call of ours: {result}"));
        let text = result["content"].to_string();
        match (text.contains("interrupted"), result["is_error"].as_bool()) {
            (true, Some(true)) => (call, Told::Interrupted),
            (false, None | Some(false)) => (call, Told::Finished),
            _ => panic!("neither finished nor interrupted: {result}"),
        }
    });
    let mut told = HashMap::new();
    for (call, what) in results {
        assert!(told.insert(call, what).is_none(), "the model was told twice of call {call}");
    }
    told
}

/// The next line, or the end.
fn next(messages: &[Value], first: &str, enough: bool) -> Answer {
    let event = |value: Value| format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default());
    let usage = serde_json::json!({ "input_tokens": 1, "output_tokens": 1 });
    let start = serde_json::json!({ "type": "message_start", "message": { "id": "m", "role": "assistant", "content": [], "usage": usage } });
    let (block, delta, stop) = if enough {
        (
            serde_json::json!({ "type": "text", "text": "" }),
            serde_json::json!({ "type": "text_delta", "text": "Enough." }),
            "end_turn",
        )
    } else {
        let call = calls(messages);
        // The first one is still there when somebody is killed; whoever ends it does not wait for it.
        let then = if call == 0 { first } else { "sleep 0.02" };
        let arguments = serde_json::json!({ "command": format!("echo {call} >> {LINES}; {then}") }).to_string();
        (
            serde_json::json!({ "type": "tool_use", "id": format!("line-{call}"), "name": "execute", "input": {} }),
            serde_json::json!({ "type": "input_json_delta", "partial_json": arguments }),
            "tool_use",
        )
    };
    let body = [
        start,
        serde_json::json!({ "type": "content_block_start", "index": 0, "content_block": block }),
        serde_json::json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
        serde_json::json!({ "type": "content_block_stop", "index": 0 }),
        serde_json::json!({ "type": "message_delta", "delta": { "stop_reason": stop }, "usage": { "output_tokens": 1 } }),
        serde_json::json!({ "type": "message_stop" }),
    ];
    Answer::events(body.map(event).concat())
}
