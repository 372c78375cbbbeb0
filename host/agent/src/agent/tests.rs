use super::*;
use crate::journal::Stop;
use crate::limits::{CUT_SHORT, LOOP_END, LOOP_WARN, MAX_TURNS};
use crate::streak::LOOP_WARNING;
use crate::testing::{Bench, Reply, answer, calling, echo, saying, turn};
use crate::tool::ToolResult;
use crate::transport::TransportError;

mod ends;
mod resumed;
mod retried;

fn kinds(events: &[Event]) -> Vec<&'static str> {
    let name = |event: &Event| match event {
        Event::Turn { .. } => "turn",
        Event::TextDelta { .. } => "text_delta",
        Event::Usage { .. } => "usage",
        Event::ToolBegin { .. } => "tool_begin",
        Event::ToolOutput { .. } => "tool_output",
        Event::ToolEnd { .. } => "tool_end",
        Event::Denial { .. } => "denial",
        Event::FileChanged { .. } => "file_changed",
        Event::Retry { .. } => "retry",
        Event::Limit { .. } => "limit",
        Event::Interrupted { .. } => "interrupted",
        Event::Ended { .. } => "ended",
    };
    events.iter().map(name).collect()
}

fn completed(text: &str) -> Outcome {
    Outcome::Completed { text: text.to_owned() }
}

#[tokio::test]
async fn a_call_and_its_result_and_the_last_word() {
    let bench = Bench::new([Reply::ok(turn("Let me see.", &[("echo", r#"{"a":1}"#)], "tool_use")), saying("Done.")])
        .tool(echo());
    let finished = bench.run().await;
    assert_eq!(finished.outcome, completed("Done."));
    assert_eq!((finished.turns, finished.usage.input, finished.usage.output), (2, 2, 4));
    assert_eq!(bench.results(1), [r#"{"a":1}"#]);
    assert_eq!(
        kinds(&bench.events()),
        ["turn", "text_delta", "usage", "tool_begin", "tool_end", "turn", "text_delta", "usage", "ended"]
    );
}

#[tokio::test]
async fn the_answer_and_its_first_calls_are_one_commit_made_before_a_tool_starts() {
    let bench = Bench::new([calling(&[("look", "{}"), ("look", "{}")]), saying("Done.")]);
    let journal = bench.journal.clone();
    let bench = bench.tool(answer("look", move |ctx, _| {
        let begun =
            journal.entries().iter().any(|entry| matches!(entry, Entry::CallBegin(begin) if begin.call == ctx.call));
        async move { ToolResult::ok(begun.to_string()) }
    }));
    bench.run().await;
    assert_eq!(bench.results(1), ["true", "true"]);
    let commits = bench.journal.commits.lock().unwrap();
    assert!(matches!(commits[0][..], [Entry::TurnBegin(_)]));
    assert!(matches!(commits[1][..], [Entry::TurnEnd(_), Entry::CallBegin(_), Entry::CallBegin(_)]));
    assert!(matches!(commits[2][..], [Entry::CallEnd(_)]));
    assert!(matches!(commits[3][..], [Entry::CallEnd(_)]));
    assert!(matches!(commits[4][..], [Entry::TurnBegin(_)]));
    assert!(matches!(commits[5][..], [Entry::TurnEnd(_)]));
}

#[tokio::test]
async fn a_turn_s_request_is_journalled_by_its_digest() {
    let bench = Bench::new([saying("Done.")]);
    bench.run().await;
    let sent = hex(&Sha256::digest(&bench.model.requests.lock().unwrap()[0].body));
    assert_eq!(bench.journal.entries()[0], Entry::TurnBegin(TurnBegin { turn: 1, request_sha256: sent }));
}

#[tokio::test]
async fn the_warning_stands_in_the_request_after_the_third_equal_call() {
    let script = (0..LOOP_WARN).map(|_| calling(&[("echo", "{}")])).chain([saying("Stopped.")]);
    let bench = Bench::new(script).tool(echo());
    assert_eq!(bench.run().await.outcome, completed("Stopped."));
    let warned: Vec<bool> = bench.bodies().iter().map(|body| body.to_string().contains(LOOP_WARNING)).collect();
    assert_eq!(warned, [false, false, false, true]);
}

#[tokio::test]
async fn equal_calls_end_the_execution_at_the_bound_and_not_one_before() {
    let repeated = |times: u32| (0..times).map(|_| calling(&[("echo", "{}")]));
    let bench = Bench::new(repeated(LOOP_END)).tool(echo());
    assert_eq!(bench.run().await.outcome, Outcome::Loop { tool: "echo".to_owned(), times: LOOP_END });

    let bench = Bench::new(repeated(LOOP_END - 1).chain([saying("Done.")])).tool(echo());
    assert_eq!(bench.run().await.outcome, completed("Done."));
}

#[tokio::test]
async fn equal_calls_with_new_results_are_no_loop() {
    let script = (0..10).map(|_| calling(&[("count", "{}")])).chain([saying("Done.")]);
    let bench = Bench::new(script).tool(answer("count", |ctx, _| async move { ToolResult::ok(ctx.turn.to_string()) }));
    assert_eq!(bench.run().await.outcome, completed("Done."));
    assert!(bench.bodies().iter().all(|body| !body.to_string().contains(LOOP_WARNING)));
}

#[tokio::test]
async fn unknown_tools_and_malformed_arguments_are_told_to_the_model() {
    let calls = [("absent", "{}"), ("echo", "{\"a\": "), ("echo", "[1]"), ("echo", r#"{"a":1}"#)];
    let bench = Bench::new([calling(&calls), saying("Done.")]).tool(echo());
    assert_eq!(bench.run().await.outcome, completed("Done."));
    let results = bench.results(1);
    assert_eq!(results[0], "Error: there is no tool `absent`. The tools are: echo.");
    assert!(results[1].starts_with("Error: the arguments of `echo` could not be read: EOF"), "{}", results[1]);
    assert!(results[2].contains("they are not a JSON object"), "{}", results[2]);
    assert_eq!(results[3], r#"{"a":1}"#);
}

#[tokio::test]
async fn cancel_drops_a_request_under_way() {
    let bench = Bench::new([Reply::Hang]);
    bench.cancel.cancel();
    assert_eq!(bench.run().await.outcome, Outcome::Cancelled);
    assert_eq!(kinds(&bench.events()), ["ended"]);
}

#[tokio::test]
async fn cancel_drops_calls_under_way_and_writes_nothing_more() {
    let bench = Bench::new([calling(&[("hang", "{}")])]);
    let cancel = bench.cancel.clone();
    let bench = bench.tool(answer("hang", move |_, _| {
        cancel.cancel();
        std::future::pending()
    }));
    assert_eq!(bench.run().await.outcome, Outcome::Cancelled);
    assert!(matches!(bench.journal.entries().last(), Some(Entry::CallBegin(_))));
}

#[tokio::test]
async fn without_a_journal_no_tool_runs() {
    let mut bench = Bench::new([calling(&[("echo", "{}")])]);
    bench.journal = Arc::new(crate::testing::Memory { fails_from: Some(1), ..Default::default() });
    let tool = echo();
    let bench = bench.tool(tool.clone());
    let outcome = bench.run().await.outcome;
    assert_eq!(outcome, Outcome::Failed { reason: "the journal is out of reach: gone".to_owned() });
    assert!(tool.calls.lock().unwrap().is_empty());
}
