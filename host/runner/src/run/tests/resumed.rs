//! A runner that goes on where another one died.

use super::*;

fn entry(kind: wire::EntryKind, turn: u32, call: &str, value: &Value) -> wire::Entry {
    let id = format!("{kind:?}-{turn}-{call}");
    let call = call.to_owned();
    wire::Entry {
        id,
        seq: 1,
        kind: kind.into(),
        turn,
        call,
        body: body(value),
        blobs: vec![],
        history: false,
        held: false,
    }
}

/// A first turn that asked for these calls, each with its start and, where given, its end.
fn past(calls: &[(&str, Value, Option<&str>)]) -> Vec<wire::Entry> {
    let blocks: Vec<Value> = calls
        .iter()
        .enumerate()
        .map(|(at, (tool, args, _))| json!({ "type": "tool_use", "id": format!("t{at}"), "name": tool, "input": args }))
        .collect();
    let usage = json!({ "input": 1, "output": 1, "cache_read": 0, "cache_write": 0 });
    let mut entries = vec![
        entry(wire::EntryKind::TurnBegin, 1, "", &json!({ "kind": "turn_begin", "turn": 1, "request_sha256": "" })),
        entry(
            wire::EntryKind::TurnEnd,
            1,
            "",
            &json!({
                "kind": "turn_end", "turn": 1, "usage": usage, "stop": "tools",
                "message": { "role": "assistant", "content": blocks },
            }),
        ),
    ];
    for (at, (tool, args, end)) in calls.iter().enumerate() {
        let call = format!("1.{}", at + 1);
        let repeat = if *tool == "ls" { "safe" } else { "never" };
        let begin = json!({ "kind": "call_begin", "call": call, "tool": tool, "args": args, "repeat": repeat });
        entries.push(entry(wire::EntryKind::CallBegin, 1, &call, &begin));
        if let Some(text) = end {
            let end = json!({ "kind": "call_end", "call": call, "text": text, "is_error": false, "spilled": null });
            entries.push(entry(wire::EntryKind::CallEnd, 1, &call, &end));
        }
    }
    entries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finished_calls_are_not_made_again_and_open_ones_only_when_that_is_safe() {
    let calls = [
        ("write_file", json!({ "file_path": "a.txt", "content": "1" }), Some("Updated file a.txt")),
        ("write_file", json!({ "file_path": "b.txt", "content": "1" }), None),
        ("ls", json!({ "path": "/" }), None),
    ];
    let mut bench = start(|work| work.attempt = 2, past(&calls), [saying("done")]);
    assert_eq!(bench.completed().await.outcome, "completed");
    let results = bench.half.results();
    assert_eq!((results[0].as_str(), results[2].as_str()), ("Updated file a.txt", "[]"));
    assert_eq!(results[1], stigmer_agent::INTERRUPTED);
    assert_eq!((bench.world.read("a.txt"), bench.world.read("b.txt")), (None, None));
    assert_eq!(bench.half.events("interrupted").len(), 1);
    // The turn's entries are there already; only what is new is added.
    let kinds: Vec<String> = bench.half.kinds().into_iter().filter(|kind| kind.starts_with('[')).collect();
    assert_eq!(kinds, ["[call_end]", "[call_end]", "[turn_begin]", "[turn_end]"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_in_blobs_are_fetched_and_lost_scratch_is_written_anew() {
    let world = World::new();
    let place = world.places.scratch.join("result-1.1.txt").unwrap();
    let spilled = place.to_string();
    let mut entries = past(&[("execute", json!({ "command": "true" }), Some("short"))]);
    let end = json!({ "kind": "call_end", "call": "1.1", "text": "short", "is_error": false, "spilled": spilled });
    let stored = |data: Bytes| {
        let sha256 = Bytes::copy_from_slice(&<sha2::Sha256 as sha2::Digest>::digest(&data));
        (wire::Blob { sha256, size: data.len() as u64 }, data)
    };
    let (end_blob, whole_blob) = (stored(body(&end)), stored(Bytes::from_static(b"the whole result")));
    let last = entries.last_mut().unwrap();
    last.body = body(&json!({ "body_blobs": 1 }));
    last.blobs = vec![end_blob.0.clone(), whole_blob.0.clone()];
    let mut work = execution(&world);
    (work.attempt, work.scratch_lost) = (2, true);

    let (half, rpc) = trusted_half::start(Work::Execution(work), told(entries), [saying("done")]);
    half.blobs.lock().unwrap().extend([end_blob, whole_blob].map(|(blob, data)| (blob.sha256, data)));
    let (channel, init) = init::start();
    let runner = tokio::spawn(run(Handed { rpc, work: channel, code: Vec::new() }));
    let mut bench = Bench { world, half, init, runner };
    assert_eq!(bench.completed().await.outcome, "completed");
    assert_eq!(bench.half.results(), ["short"]);
    assert_eq!(bench.world.roots().read(&place, Default::default()).unwrap().bytes, b"the whole result");
    assert!(bench.init.started.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_makes_no_sense_is_not_guessed_at() {
    let good = past(&[("ls", json!({ "path": "/" }), Some("[]"))]);
    let mut cut = good.clone();
    cut.remove(1);
    let mut strange = good.clone();
    strange[0].body = Bytes::from_static(b"[]");
    let mut lost = good.clone();
    lost[0].body = body(&json!({ "body_blobs": 1 }));
    for (entries, words) in [
        (cut, "the journal has an entry of call `1.1` where none belongs"),
        (strange, "entry `TurnBegin-1-` of the journal makes no sense"),
        (lost, "entry `TurnBegin-1-` of the journal makes no sense: fewer blobs"),
    ] {
        let outcome = start(|_| {}, entries, [saying("done")]).completed().await;
        assert_eq!(outcome.outcome, "failed");
        assert!(outcome.reason.starts_with(words), "{}", outcome.reason);
    }
    assert_eq!(start(|_| {}, good, [saying("done")]).completed().await.outcome, "completed");
}

fn earlier(message: &str, mut entries: Vec<wire::Entry>) -> Vec<Message> {
    entries.iter_mut().for_each(|entry| entry.history = true);
    let begin = Message::Earlier(wire::Earlier { message: message.to_owned() });
    std::iter::once(begin).chain(told(entries)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn earlier_executions_come_first_and_nothing_of_them_is_made_again() {
    let write = |end| past(&[("write_file", json!({ "file_path": "a.txt", "content": "1" }), end)]);
    let own = past(&[("ls", json!({ "path": "/" }), Some("[]"))]);
    let all = [earlier("first", write(Some("written"))), earlier("second", vec![]), told(own)].concat();
    let world = World::new();
    let (half, rpc) = trusted_half::start(Work::Execution(execution(&world)), all, [saying("done")]);
    let (channel, init) = init::start();
    let runner = tokio::spawn(run(Handed { rpc, work: channel, code: Vec::new() }));
    let mut bench = Bench { world, half, init, runner };
    assert_eq!(bench.completed().await.outcome, "completed");
    assert_eq!(bench.world.read("a.txt"), None);
    let request = bench.half.until("a request", |seen| match seen {
        Seen::Model(request) => Some(request.clone()),
        _ => None,
    });
    let request = request.await;
    let messages = request["messages"].as_array().unwrap();
    let first = |message: &Value| message["content"][0].clone();
    assert_eq!(first(&messages[0])["text"], "first");
    assert_eq!(first(&messages[1])["name"], "write_file");
    assert_eq!(first(&messages[2])["content"], "written");
    assert_eq!(
        (first(&messages[3])["text"].clone(), first(&messages[4])["text"].clone()),
        ("second".into(), "hello".into())
    );
    assert_eq!(first(&messages[5])["name"], "ls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_past_without_its_message_or_out_of_order_is_no_lease() {
    let own = past(&[("ls", json!({ "path": "/" }), Some("[]"))]);
    let mut without = earlier("gone", own.clone());
    without.remove(0);
    let late = [told(own.clone()), earlier("late", vec![])].concat();
    let mixed = [earlier("x", vec![]), told(own.clone()), without.clone()].concat();
    for wrong in [without, late, mixed] {
        let world = World::new();
        let (_half, rpc) = trusted_half::start(Work::Execution(execution(&world)), wrong, [saying("done")]);
        let (channel, _init) = init::start();
        assert_eq!(run(Handed { rpc, work: channel, code: Vec::new() }).await, Ended::Lost);
    }
}
