//! An execution whose process dies after any commit goes on from its journal.

use super::*;
use crate::calls::INTERRUPTED;
use crate::testing::Answering;
use crate::tool::Repeat;

fn script() -> Vec<Reply> {
    vec![
        calling(&[("once", r#"{"n":1}"#), ("look", r#"{"n":2}"#)]),
        calling(&[("once", r#"{"n":3}"#)]),
        saying("Done."),
    ]
}

fn tools() -> (Answering, Answering) {
    let once = answer("once", |_, args| async move { ToolResult::ok(format!("did {}", args["n"])) });
    let mut look = answer("look", |_, args| async move { ToolResult::ok(format!("saw {}", args["n"])) });
    look.repeat = Repeat::Safe;
    (once, look)
}

#[tokio::test]
async fn after_a_death_at_any_commit_finished_calls_are_not_run_again() {
    let (once, look) = tools();
    let whole = Bench::new(script()).tool(once).tool(look);
    assert_eq!(whole.run().await.outcome, completed("Done."));
    let commits = whole.journal.commits.lock().unwrap().clone();
    assert!(commits.len() > 8, "{}", commits.len());

    for kept in 0..=commits.len() {
        let entries: Vec<Entry> = commits[..kept].iter().flatten().cloned().collect();
        let answered = entries.iter().filter(|entry| matches!(entry, Entry::TurnEnd(_))).count();
        let begun: Vec<_> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::CallBegin(begin) => Some(begin.call),
                _ => None,
            })
            .collect();
        let over: Vec<_> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::CallEnd(end) => Some(end.call),
                _ => None,
            })
            .collect();

        let (once, look) = tools();
        let mut bench = Bench::new(script().into_iter().skip(answered)).tool(once.clone()).tool(look.clone());
        bench.history = History::from_entries(entries.clone()).unwrap();
        let finished = bench.run().await;
        assert_eq!(finished.outcome, completed("Done."), "after commit {kept}");
        assert_eq!(finished.usage, Usage { input: 3, output: 6, ..Usage::default() });

        for call in over.iter().map(ToString::to_string) {
            assert!(!once.calls.lock().unwrap().contains(&call), "{call} ran twice");
            assert!(!look.calls.lock().unwrap().contains(&call), "{call} ran twice");
        }
        // What was in flight: told of when it may have had an effect, made again when it is safe.
        for call in begun.iter().filter(|call| !over.contains(call)) {
            let safe = *call == crate::call::CallId::new(1, 2);
            assert_eq!(look.calls.lock().unwrap().contains(&call.to_string()), safe);
            assert!(!once.calls.lock().unwrap().contains(&call.to_string()));
            let told =
                bench.events().iter().any(|event| matches!(event, Event::Interrupted { call: told } if told == call));
            assert_eq!(told, !safe, "{call}");
            assert_eq!(
                bench.bodies()[0].to_string().contains(INTERRUPTED),
                begun.iter().any(|call| call.index() == 1 && !over.contains(call))
            );
        }
        // Both parts together are one journal that reads without a gap, and each request is the one of the whole run.
        let joined = entries.into_iter().chain(bench.journal.entries());
        History::from_entries(joined).unwrap();
        if begun.iter().all(|call| over.contains(call) || call.index() == 2) {
            assert_eq!(bench.bodies(), whole.bodies()[answered..], "after commit {kept}");
        }
    }
}

#[tokio::test]
async fn a_call_begun_as_safe_is_not_repeated_when_its_tool_no_longer_says_so() {
    let (once, look) = tools();
    let whole = Bench::new(script()).tool(once).tool(look);
    whole.run().await;
    let entries: Vec<Entry> = whole.journal.commits.lock().unwrap()[..2].iter().flatten().cloned().collect();

    let (once, mut look) = tools();
    look.repeat = Repeat::Never;
    let mut bench = Bench::new(script().into_iter().skip(1)).tool(once).tool(look.clone());
    bench.history = History::from_entries(entries).unwrap();
    bench.run().await;
    assert!(look.calls.lock().unwrap().is_empty());
    assert_eq!(bench.results(0), [INTERRUPTED, INTERRUPTED]);
}

#[tokio::test]
async fn a_streak_goes_on_over_a_resumption() {
    let equal = |times: u32| (0..times).map(|_| calling(&[("echo", "{}")]));
    let mut first = Bench::new(equal(LOOP_END - 1)).tool(echo());
    first.task.max_turns = LOOP_END - 1;
    assert!(matches!(first.run().await.outcome, Outcome::Limit { .. }));

    let mut second = Bench::new(equal(1)).tool(echo());
    second.history = History::from_entries(first.journal.entries()).unwrap();
    assert_eq!(second.run().await.outcome, Outcome::Loop { tool: "echo".to_owned(), times: LOOP_END });
}

#[tokio::test]
async fn the_model_is_told_when_scratch_was_lost() {
    let first = Bench::new([calling(&[("echo", "{}")]), saying("Done.")]).tool(echo());
    first.run().await;
    for lost in [true, false] {
        let mut bench = Bench::new([saying("Done.")]).tool(echo());
        bench.task.scratch_lost = lost;
        let entries = first.journal.commits.lock().unwrap()[..3].iter().flatten().cloned().collect::<Vec<_>>();
        bench.history = History::from_entries(entries).unwrap();
        bench.run().await;
        assert_eq!(bench.bodies()[0].to_string().contains(SCRATCH_LOST), lost);
    }
}

#[tokio::test]
async fn a_new_message_continues_an_execution_that_is_over_and_runs_nothing_of_it_again() {
    let (once, look) = tools();
    let first = Bench::new(script()).tool(once).tool(look);
    first.run().await;
    // The whole of it, and one that died while a call was open.
    let all = first.journal.commits.lock().unwrap().len();
    for (kept, open) in [(all, false), (2, true)] {
        let entries: Vec<Entry> = first.journal.commits.lock().unwrap()[..kept].iter().flatten().cloned().collect();
        let (once, look) = tools();
        let mut bench = Bench::new([saying("Again.")]).tool(once.clone()).tool(look.clone());
        bench.task.message = "and now?".to_owned();
        bench.task.earlier =
            vec![Earlier { message: "hello".to_owned(), history: History::from_entries(entries).unwrap() }];
        let finished = bench.run().await;
        assert_eq!((finished.outcome, finished.turns), (completed("Again."), 1));
        assert!(once.calls.lock().unwrap().is_empty() && look.calls.lock().unwrap().is_empty());
        let sent = bench.bodies()[0]["messages"].as_array().unwrap().clone();
        assert_eq!(sent[0]["content"][0]["text"], "hello");
        assert_eq!(sent.last().unwrap()["content"][0]["text"], "and now?");
        assert_eq!(bench.bodies()[0].to_string().matches(INTERRUPTED).count(), if open { 2 } else { 0 });
        assert_eq!(bench.bodies()[0].to_string().matches(EARLIER_SCRATCH).count(), 1);
        // Up to there it is what the first one sent, byte for byte.
        let before = first.bodies()[kept.min(2) - 1]["messages"].as_array().unwrap().clone();
        let plain = |message: &serde_json::Value| {
            let mut blocks = message["content"].as_array().unwrap().clone();
            blocks.iter_mut().for_each(|block| drop(block.as_object_mut().unwrap().remove("cache_control")));
            blocks
        };
        if !open {
            assert!(before.iter().zip(&sent).all(|(then, now)| plain(then) == plain(now)));
        }
        assert!(matches!(&bench.journal.entries()[0], Entry::TurnBegin(begin) if begin.turn == 1));
    }
}

#[tokio::test]
async fn a_call_that_waited_for_a_person_is_made_and_not_told_as_interrupted() {
    let (once, look) = tools();
    let first = Bench::new(script()).tool(once).tool(look);
    first.run().await;
    // The calls of the first turn have begun, and none has ended.
    let entries: Vec<Entry> = first.journal.commits.lock().unwrap()[..2].iter().flatten().cloned().collect();
    for held in [true, false] {
        let (once, look) = tools();
        let mut bench = Bench::new(script().into_iter().skip(1)).tool(once.clone()).tool(look);
        let calls = if held { vec![crate::call::CallId::new(1, 1)] } else { vec![] };
        bench.history = History::from_entries(entries.clone()).unwrap().with_held(&calls);
        assert_eq!(bench.run().await.outcome, completed("Done."));
        assert_eq!(once.calls.lock().unwrap().contains(&"1.1".to_owned()), held);
        assert_eq!(bench.bodies()[0].to_string().contains(INTERRUPTED), !held);
    }
}
