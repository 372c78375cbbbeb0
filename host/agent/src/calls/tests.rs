use std::sync::Mutex;

use stigmer_policy::{Denial, Rule, Wall};
use tokio::sync::{Barrier, Semaphore};

use super::*;
use crate::limits::RESULT_BYTES;
use crate::testing::{Bench, Scratch, answer, calling, echo, saying};
use crate::tool::Changed;

#[tokio::test]
async fn independent_calls_run_beside_each_other_and_answer_in_call_order() {
    // Neither could end if they ran one after the other; the first ends last.
    let barrier = Arc::new(Barrier::new(2));
    let second_over = Arc::new(Semaphore::new(0));
    let tool = answer("meet", move |ctx, _| {
        let (barrier, second_over) = (barrier.clone(), second_over.clone());
        async move {
            barrier.wait().await;
            if ctx.call.index() == 1 {
                second_over.acquire().await.unwrap().forget();
            } else {
                second_over.add_permits(1);
            }
            ToolResult::ok(ctx.call.to_string())
        }
    });
    let bench = Bench::new([calling(&[("meet", "{}"), ("meet", "{}")]), saying("Done.")]).tool(tool);
    bench.run().await;
    assert_eq!(bench.results(1), ["1.1", "1.2"]);
}

#[tokio::test]
async fn eight_calls_run_at_once_and_the_ninth_waits() {
    let running = Arc::new(Mutex::new((0_usize, 0_usize)));
    let release = Arc::new(Semaphore::new(0));
    let counts = running.clone();
    let tool = answer("count", move |_, _| {
        let (counts, release) = (counts.clone(), release.clone());
        async move {
            let now = {
                let mut counts = counts.lock().unwrap();
                counts.0 += 1;
                counts.1 = counts.1.max(counts.0);
                counts.0
            };
            if now == PARALLEL_CALLS {
                release.add_permits(PARALLEL_CALLS + 1);
            }
            release.acquire().await.unwrap().forget();
            counts.lock().unwrap().0 -= 1;
            ToolResult::ok("")
        }
    });
    let calls: Vec<_> = (0..=PARALLEL_CALLS).map(|_| ("count", "{}")).collect();
    // Nine equal calls would end the execution as a loop; what is counted here is over by then.
    Bench::new([calling(&calls)]).tool(tool.clone()).run().await;
    assert_eq!(tool.calls.lock().unwrap().len(), PARALLEL_CALLS + 1);
    assert_eq!(running.lock().unwrap().1, PARALLEL_CALLS);
}

#[tokio::test]
async fn writes_with_one_key_run_in_call_order_and_others_beside_them() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let barrier = Arc::new(Barrier::new(2));
    let seen = log.clone();
    let mut tool = answer("write", move |ctx, _| {
        let (log, barrier) = (seen.clone(), barrier.clone());
        async move {
            log.lock().unwrap().push(format!("+{}", ctx.call.index()));
            // The first write of `a` and the write of `b` wait for each other.
            if matches!(ctx.call.index(), 1 | 4) {
                barrier.wait().await;
            }
            tokio::task::yield_now().await;
            log.lock().unwrap().push(format!("-{}", ctx.call.index()));
            ToolResult::ok("")
        }
    });
    tool.key = Some("path");
    let (a, b) = (r#"{"path":"a"}"#, r#"{"path":"b"}"#);
    let bench =
        Bench::new([calling(&[("write", a), ("write", a), ("write", a), ("write", b)]), saying("Done.")]).tool(tool);
    bench.run().await;
    let log = log.lock().unwrap();
    let of_a: Vec<_> = log.iter().filter(|step| !step.ends_with('4')).cloned().collect();
    assert_eq!(of_a, ["+1", "-1", "+2", "-2", "+3", "-3"]);
    assert_eq!(log[..2], ["+1", "+4"]);
}

#[tokio::test]
async fn a_result_at_the_bound_goes_whole_and_one_byte_more_as_head_and_tail() {
    for (bytes, long) in [(RESULT_BYTES, false), (RESULT_BYTES + 1, true)] {
        let tool = answer("big", move |_, _| async move { ToolResult::ok("x".repeat(bytes)) });
        let bench = Bench::new([calling(&[("big", "{}")]), saying("Done.")]).tool(tool);
        bench.run().await;
        let told = bench.results(1).remove(0);
        assert_eq!(told.len() < bytes, long);
        assert_eq!(told.contains("is in `/scratch/1.1`"), long);
        let files = bench.scratch.files.lock().unwrap();
        assert_eq!(files.len(), usize::from(long));
        let entries = bench.journal.entries();
        let Some(Entry::CallEnd(end)) = entries.iter().find(|entry| matches!(entry, Entry::CallEnd(_))) else {
            panic!("{entries:?}")
        };
        assert_eq!(end.text, told);
        assert_eq!(end.full.as_ref().map(Bytes::len), long.then_some(bytes));
        assert_eq!(end.spilled.as_deref(), long.then_some("/scratch/1.1"));
    }
}

#[tokio::test]
async fn a_whole_result_that_cannot_be_kept_is_said_to_be_lost() {
    let tool = answer("big", |_, _| async { ToolResult::ok("x".repeat(RESULT_BYTES + 1)) });
    let mut bench = Bench::new([calling(&[("big", "{}")]), saying("Done.")]).tool(tool);
    bench.scratch = Arc::new(Scratch { full: true, ..Scratch::default() });
    bench.run().await;
    assert!(bench.results(1)[0].contains("was not kept: could not keep the whole result: no space left"));
}

#[tokio::test]
async fn a_result_that_the_tool_cut_itself_is_kept_whole() {
    let tool = answer("cut", |_, _| async {
        ToolResult { full: Some(Bytes::from_static(b"all of it")), ..ToolResult::ok("all") }
    });
    let bench = Bench::new([calling(&[("cut", "{}")]), saying("Done.")]).tool(tool);
    bench.run().await;
    assert!(bench.results(1)[0].starts_with("all\n[The whole result, 9 bytes, is in `/scratch/1.1`"));
    assert_eq!(bench.scratch.files.lock().unwrap()[0].1, "all of it");
}

#[tokio::test]
async fn the_journal_keeps_a_whole_result_up_to_its_bound() {
    for bytes in [FULL_BYTES, FULL_BYTES + 1] {
        let tool = answer("big", move |_, _| async move { ToolResult::ok("x".repeat(bytes)) });
        let bench = Bench::new([calling(&[("big", "{}")]), saying("Done.")]).tool(tool);
        bench.run().await;
        assert_eq!(bench.scratch.files.lock().unwrap()[0].1.len(), bytes);
        let kept = bench.journal.entries().into_iter().find_map(|entry| match entry {
            Entry::CallEnd(end) => end.full,
            _ => None,
        });
        assert_eq!(kept.unwrap().len(), FULL_BYTES);
    }
}

#[tokio::test]
async fn calls_up_to_the_bound_of_one_turn_run_and_the_next_is_told() {
    let args: Vec<String> = (0..=CALLS_PER_TURN).map(|n| format!("{{\"n\":{n}}}")).collect();
    let calls: Vec<_> = args.iter().map(|args| ("echo", args.as_str())).collect();
    let tool = echo();
    let bench = Bench::new([calling(&calls), saying("Done.")]).tool(tool.clone());
    bench.run().await;
    assert_eq!(tool.calls.lock().unwrap().len(), CALLS_PER_TURN);
    let results = bench.results(1);
    assert_eq!(results[CALLS_PER_TURN - 1], args[CALLS_PER_TURN - 1]);
    assert!(results[CALLS_PER_TURN].starts_with("Error: not run. One turn may make 128 calls"));
}

#[tokio::test]
async fn denials_and_changes_become_events_and_the_model_reads_the_rule() {
    let denial = Denial {
        rule: Rule::ProtectedPaths,
        subject: "write /w/.git/hooks/a".to_owned(),
        reason: "`.git/hooks` is protected".to_owned(),
        grant: Some("a grant that only the person sees".to_owned()),
    };
    let changed = Changed { path: "/w/a".to_owned(), wall: Wall::FileTool };
    let (refused, wrote) = (denial.clone(), changed.clone());
    let bench = Bench::new([calling(&[("no", "{}"), ("yes", "{}")]), saying("Done.")])
        .tool(answer("no", move |_, _| std::future::ready(ToolResult::denied(refused.clone()))))
        .tool(answer("yes", move |_, _| {
            std::future::ready(ToolResult { changed: vec![wrote.clone()], ..ToolResult::ok("ok") })
        }));
    bench.run().await;
    let events = bench.events();
    assert!(events.contains(&Event::Denial { call: CallId::new(1, 1), denial }));
    assert!(events.contains(&Event::FileChanged { call: CallId::new(1, 2), changed }));
    assert_eq!(bench.results(1)[0], "Denied: `.git/hooks` is protected (rule `protected-paths`)");
    assert!(!bench.bodies()[1].to_string().contains("only the person"));
}

#[tokio::test]
async fn a_tool_that_panics_is_a_failed_call_and_not_the_end() {
    let tool = answer("broken", |_, _| async { panic!("a fault that this test makes") });
    let bench = Bench::new([calling(&[("broken", "{}"), ("echo", "{}")]), saying("Done.")]).tool(tool).tool(echo());
    bench.run().await;
    assert_eq!(bench.results(1), [&format!("Error: {FAULT}"), "{}"]);
}
