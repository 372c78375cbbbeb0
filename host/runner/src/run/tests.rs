//! The whole runner between a fake trusted half and a fake init.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use stigmer_proto::runner::from_daemon::Message;
use stigmer_proto::runner::spec::Work;

use super::*;
use crate::testing::trusted_half::{Half, Seen, calling, saying};
use crate::testing::{World, init, trusted_half, within};

mod jobs;
mod resumed;

/// A runner that runs, and what it stands between.
struct Bench {
    world: World,
    half: Arc<Half>,
    init: Arc<init::Known>,
    runner: tokio::task::JoinHandle<Ended>,
}

fn execution(world: &World) -> wire::Execution {
    wire::Execution {
        id: "aex-1".to_owned(),
        policy: serde_json::to_vec(&world.policy).unwrap().into(),
        level: "full".to_owned(),
        workspace: world.places.workspace.to_string(),
        home: world.places.home.to_string(),
        scratch: world.places.scratch.to_string(),
        command_env: vec![wire::EnvVar { name: "PATH".to_owned(), value: "/usr/bin:/bin".to_owned() }],
        provider: "script".to_owned(),
        wire: "anthropic".to_owned(),
        model: "m".to_owned(),
        message: "hello".to_owned(),
        approve: "auto".to_owned(),
        skills: vec![wire::Skill {
            name: "table".to_owned(),
            description: "Profiles tables.".to_owned(),
            path: "/skills/ab".to_owned(),
        }],
        protected: vec![".git/hooks".to_owned()],
        attempt: 1,
        ..wire::Execution::default()
    }
}

fn start(
    change: impl FnOnce(&mut wire::Execution),
    entries: Vec<wire::Entry>,
    model: impl IntoIterator<Item = Bytes>,
) -> Bench {
    let world = World::new();
    let mut work = execution(&world);
    change(&mut work);
    start_in(world, work, entries, model)
}

fn start_in(
    world: World,
    work: wire::Execution,
    entries: Vec<wire::Entry>,
    model: impl IntoIterator<Item = Bytes>,
) -> Bench {
    let (half, rpc) = trusted_half::start(Work::Execution(work), told(entries), model);
    let (channel, init) = init::start();
    let runner = tokio::spawn(run(Handed { rpc, work: channel, code: Vec::new() }));
    Bench { world, half, init, runner }
}

fn told(entries: Vec<wire::Entry>) -> Vec<Message> {
    entries.into_iter().map(Message::Entry).collect()
}

impl Bench {
    /// Waits for the result: how the process ends, and the outcome that was reported.
    async fn end(&mut self) -> (Ended, Option<wire::Outcome>) {
        let ended = within("the runner's end", &mut self.runner).await.unwrap();
        (ended, self.half.finished.lock().unwrap().clone().map(|(outcome, _)| outcome))
    }

    async fn completed(&mut self) -> wire::Outcome {
        let (ended, outcome) = self.end().await;
        assert_eq!(ended, Ended::Done);
        outcome.expect("an outcome")
    }
}

fn command(seen: &Seen) -> Option<wire::AskRequest> {
    match seen {
        Seen::Asked(question) => Some(question.clone()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_run_over_the_walls_and_each_step_is_in_the_journal_first() {
    let calls = [
        ("write_file", json!({ "file_path": "a.txt", "content": "one\n" })),
        ("execute", json!({ "command": "echo out; echo err >&2" })),
        ("write_file", json!({ "file_path": "../b.txt", "content": "" })),
    ];
    let last = [("read_file", json!({ "file_path": "a.txt" }))];
    let mut bench = start(|_| {}, vec![], [calling(&calls), calling(&last), saying("done")]);
    let outcome = bench.completed().await;
    assert_eq!((outcome.outcome.as_str(), outcome.text.as_str()), ("completed", "done"));
    assert_eq!(bench.world.read("a.txt").as_deref(), Some("one\n"));
    assert_eq!(bench.half.results(), ["     1\tone"]);

    let kinds = bench.half.kinds();
    let at = |kind: &str| kinds.iter().position(|it| it == kind).unwrap_or_else(|| panic!("{kind}: {kinds:?}"));
    assert!(at("[turn_begin]") < at("turn") && at("turn") < at("[turn_end]"), "{kinds:?}");
    // Acknowledged before the tool starts: the event of its start comes after its entry.
    assert!(at("[turn_end]") < at("[call_begin]") && at("[call_begin]") < at("tool_begin"), "{kinds:?}");
    assert!(at("tool_begin") < at("tool_output") && at("tool_begin") < at("[call_end]"), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "[call_end]").count(), 4);
    assert_eq!(kinds.iter().filter(|kind| *kind == "tool_end").count(), 4);

    let path = bench.world.path("a.txt");
    assert_eq!(bench.half.events("file_changed"), [json!({ "path": path, "wall": "file-tool" })]);
    let denials = bench.half.events("denial");
    assert_eq!(
        (denials.len(), &denials[0]["rule"], &denials[0]["wall"]),
        (1, &json!("outside-roots"), &json!("file-tool"))
    );
    let output = bench.half.events("tool_output");
    assert!(output.contains(&json!({ "stream": "stdout", "text": "out\n" })), "{output:?}");
    assert!(output.contains(&json!({ "stream": "stderr", "text": "err\n" })), "{output:?}");
    assert_eq!(bench.init.started.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_prompt_names_skills_and_the_tools_are_in_one_order() {
    let mut bench = start(|_| {}, vec![], [saying("hi")]);
    bench.completed().await;
    let request = bench.half.all().into_iter().find_map(|seen| match seen {
        Seen::Model(request) => Some(request),
        _ => None,
    });
    let request = request.unwrap();
    assert!(request["system"].to_string().contains("table: Profiles tables. (`/skills/ab/SKILL.md`)"));
    let names: Vec<&str> = request["tools"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    let ours = ["ls", "read_file", "write_file", "edit_file", "delete", "glob", "grep", "write_todos", "execute"];
    assert_eq!(names, ours);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_commands_run_beside_each_other() {
    // Each waits for the other: only together do they end.
    let calls = [
        ("execute", json!({ "command": "mkfifo a 2>/dev/null; echo x > a; echo one" })),
        ("execute", json!({ "command": "mkfifo a 2>/dev/null; cat a; echo two" })),
    ];
    let mut bench = start(|_| {}, vec![], [calling(&calls), saying("done")]);
    bench.completed().await;
    let results = bench.half.results();
    assert!(results[0].starts_with("one\n") && results[1].starts_with("x\ntwo\n"), "{results:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_ends_the_command_and_the_execution() {
    let mut bench =
        start(|_| {}, vec![], [calling(&[("execute", json!({ "command": "echo begun; exec sleep 600" }))])]);
    bench
        .half
        .until("output", |seen| matches!(seen, Seen::Event(kind, ..) if kind == "tool_output").then_some(()))
        .await;
    bench.half.say(Message::Cancel(wire::Cancel { reason: "enough".to_owned() })).await;
    assert_eq!(bench.completed().await.outcome, "cancelled");
    within("the command's end", async {
        while bench.init.killed.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!bench.half.kinds().contains(&"[call_end]".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_lease_ends_the_process_in_whatever_it_does() {
    // No answer to come: it waits for the model.
    let mut waiting = start(|_| {}, vec![], []);
    waiting.half.until("a request", |seen| matches!(seen, Seen::Model(_)).then_some(())).await;
    waiting.half.die();
    assert_eq!(waiting.end().await, (Ended::Lost, None));

    let mut running = start(|_| {}, vec![], [calling(&[("execute", json!({ "command": "echo x; exec sleep 600" }))])]);
    running
        .half
        .until("output", |seen| matches!(seen, Seen::Event(kind, ..) if kind == "tool_output").then_some(()))
        .await;
    running.half.die();
    assert_eq!(running.end().await, (Ended::Lost, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_waits_for_its_answer_and_starts_only_with_yes() {
    for (approved, started, words) in [(true, 1, "made\n"), (false, 0, "Error: this command was not approved")] {
        let mut bench = start(
            |work| work.approve = "ask".to_owned(),
            vec![],
            [calling(&[("execute", json!({ "command": "echo made" }))]), saying("done")],
        );
        *bench.init.released.lock().unwrap() = Some(std::collections::HashMap::new());
        let question = bench.half.until("a question", command).await;
        assert_eq!((question.call.as_str(), question.number, question.tool.as_str()), ("1.1", 1 << 32 | 1, "execute"));
        assert_eq!(question.argv, ["/bin/sh", "-c", "echo made"]);
        assert!(bench.init.started.lock().unwrap().is_empty(), "nothing before the answer");
        if approved {
            // What the trusted half does: it makes the spec from the question alone.
            let spec = stigmer_sandbox::message::CommandSpec {
                argv: question.argv.iter().map(|item| item.to_vec()).collect(),
                env: question.env.iter().map(|item| item.to_vec()).collect(),
                cwd: question.cwd.to_vec(),
                timeout: Some(std::time::Duration::from_millis(question.timeout_ms)),
            };
            bench.init.released.lock().unwrap().as_mut().unwrap().insert(question.number, spec.digest());
        }
        bench.half.say(Message::Answer(wire::Answer { call: "9.9".to_owned(), approved: true })).await;
        bench.half.say(Message::Answer(wire::Answer { call: question.call, approved })).await;
        bench.completed().await;
        assert!(bench.half.results()[0].starts_with(words), "{:?}", bench.half.results());
        assert_eq!(bench.init.started.lock().unwrap().len(), started);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_was_not_released_does_not_start_even_when_the_answer_was_yes() {
    let mut bench = start(
        |work| work.approve = "ask".to_owned(),
        vec![],
        [calling(&[("execute", json!({ "command": "echo made" }))]), saying("done")],
    );
    *bench.init.released.lock().unwrap() = Some(std::collections::HashMap::new());
    let question = bench.half.until("a question", command).await;
    bench.half.say(Message::Answer(wire::Answer { call: question.call, approved: true })).await;
    bench.completed().await;
    assert!(bench.half.results()[0].contains("was not released"), "{:?}", bench.half.results());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_result_lies_in_scratch_and_whole_in_the_journal() {
    let world = World::new();
    let long: String = (0..3000).map(|line| format!("line {line} {}\n", "x".repeat(20))).collect();
    world.write("long.txt", long.as_bytes());
    let work = execution(&world);
    let read = [("read_file", json!({ "file_path": "long.txt", "limit": 5000 }))];
    let spilled = world.places.scratch.join("result-1.1.txt").unwrap().to_string();
    let page = [("read_file", json!({ "file_path": spilled, "offset": 2999, "limit": 1 }))];
    let mut bench = start_in(world, work, vec![], [calling(&read), calling(&page), saying("done")]);
    bench.completed().await;
    assert!(bench.half.results()[0].contains("line 2999 "), "{:?}", bench.half.results());
    let end = bench.half.all().into_iter().find_map(|seen| match seen {
        Seen::Entry(kind, body) if kind == "call_end" => Some(body),
        _ => None,
    });
    // The text that the model got is itself above what an entry carries, or not: either way the whole is a blob.
    assert!(end.is_some());
    let whole = bench
        .half
        .blobs
        .lock()
        .unwrap()
        .values()
        .any(|blob| blob.len() > long.len() && String::from_utf8_lossy(blob).contains("  3000\tline 2999 "));
    assert!(whole);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_arguments_reach_tool_and_journal_whole_and_the_event_is_cut() {
    let content = "y".repeat(400_000);
    let args = json!({ "file_path": "big.txt", "content": content });
    let mut bench = start(|_| {}, vec![], [calling(&[("write_file", args)]), saying("done")]);
    bench.completed().await;
    assert_eq!(bench.world.read("big.txt").unwrap().len(), 400_000);
    let begin = bench.half.events("tool_begin");
    assert_eq!((&begin[0]["cut"], &begin[0]["args"]["file_path"]), (&json!(true), &json!("big.txt")));
    let entries = bench.half.all().into_iter().filter_map(|seen| match seen {
        Seen::Entry(kind, body) if kind == "call_begin" || kind == "turn_end" => Some(body),
        _ => None,
    });
    // The answer and the call of the first turn, each in a blob; the second answer fits.
    assert_eq!(entries.filter(|body| body == &json!({ "body_blobs": 1 })).count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_record_ends_the_execution_whether_an_event_or_an_entry_meets_it() {
    for (after, outcome, reason) in [
        ("echo said; exec sleep 600", "limit", "events: the trusted half takes no further events"),
        ("true", "failed", "the journal refused an entry: all is full"),
    ] {
        let world = World::new();
        let gate = world.path("gate");
        rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let work = execution(&world);
        let call = json!({ "command": format!("read line < gate; {after}") });
        let mut bench = start_in(world, work, vec![], [calling(&[("execute", call)])]);
        let begun = |seen: &Seen| matches!(seen, Seen::Event(kind, ..) if kind == "tool_begin").then_some(());
        bench.half.until("the call", begun).await;
        *bench.half.refuses.lock().unwrap() = Some(tonic::Status::resource_exhausted("all is full"));
        #[expect(clippy::disallowed_methods, reason = "opens the gate that the command waits at")]
        let opened = tokio::task::spawn_blocking(move || std::fs::write(gate, "go\n"));
        within("the command", opened).await.unwrap().unwrap();
        let ended = bench.completed().await;
        assert_eq!((ended.outcome.as_str(), ended.reason.as_str()), (outcome, reason));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_begin_says_why() {
    type Change = fn(&mut wire::Execution);
    let cases: [(Change, &str); 6] = [
        (|work| work.policy = Bytes::from_static(b"{}"), "the policy makes no sense: "),
        (|work| work.level = "half".to_owned(), "`half` is no level"),
        (|work| work.wire = "x".to_owned(), "`x` is no wire of a model"),
        (|work| work.approve = String::new(), "`` is no way of approving"),
        (|work| work.workspace = "w".to_owned(), "the path `w` is none: the path is not absolute"),
        (
            |work| work.plugins = vec![wire::Plugin { name: "p".to_owned(), code_fd: 10, ..wire::Plugin::default() }],
            "the code of plugin `p` was not handed over",
        ),
    ];
    for (change, words) in cases {
        let mut bench = start(change, vec![], [saying("done")]);
        let outcome = bench.completed().await;
        assert_eq!(outcome.outcome, "failed");
        assert!(outcome.reason.starts_with(words), "{}", outcome.reason);
    }
    assert_eq!(start(|_| {}, vec![], [saying("done")]).completed().await.outcome, "completed");
}

#[test]
fn exit_codes_are_told_apart() {
    assert_eq!([Ended::Done, Ended::Unfit, Ended::Lost].map(Ended::code), [0, 3, 4]);
}

fn body(value: &Value) -> Bytes {
    value.to_string().into()
}
