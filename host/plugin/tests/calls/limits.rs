//! Bounds: each call that goes over one ends, on time, with an error that names it.

use std::time::Duration;

use serde_json::{Value, json};
use stigmer_plugin::{CallError, CallLimits, CallOutcome, Code, Limit, LimitError, Plugin};

use crate::support::{call, engine, guest, nothing, prepare};

const SHORT: Duration = Duration::from_millis(300);
/// What a busy machine may add. A hang would be far beyond it.
const SLACK: Duration = Duration::from_secs(5);

fn run(plugin: &Plugin, function: &str, args: Value, limits: &CallLimits) -> CallOutcome {
    call(plugin, &format!("g_guest_{function}"), args, &nothing(), limits)
}

#[track_caller]
fn over(outcome: &CallOutcome, limit: Limit) -> &LimitError {
    match &outcome.result {
        Err(CallError::Limit(error)) if error.limit == limit => error,
        other => panic!("expected limit {limit:?}, got {other:?}\nstderr: {}", outcome.stderr.text()),
    }
}

#[test]
fn time_ends_loops_and_waits_in_the_host() {
    let plugin = guest("plugin_sleep");
    let limits = CallLimits { time: SHORT, ..CallLimits::default() };
    for (function, args) in [("spin", json!({})), ("sleep", json!({"milliseconds": 3_600_000}))] {
        let outcome = run(&plugin, function, args, &limits);
        assert_eq!(over(&outcome, Limit::Time).allowed, 300);
        assert!(outcome.used.wall >= SHORT && outcome.used.wall < SHORT + SLACK, "{function}: {:?}", outcome.used);
    }
    let twin = run(&plugin, "sleep", json!({"milliseconds": 20}), &CallLimits::default());
    assert_eq!(twin.result, Ok(Value::Null));
    assert!(twin.used.wall >= Duration::from_millis(20));
}

#[test]
fn a_loop_lets_other_tasks_of_its_thread_go_on() {
    let plugin = guest("plugin_sleep");
    let limits = CallLimits { time: SHORT * 3, ..CallLimits::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (ticks, outcome) = runtime.block_on(async {
        let arguments = json!({});
        let grants = nothing();
        let mut looping = std::pin::pin!(plugin.call("g_guest_spin", &arguments, &grants, &limits));
        let mut ticks = 0;
        loop {
            tokio::select! {
                outcome = &mut looping => break (ticks, outcome),
                () = tokio::time::sleep(Duration::from_millis(10)) => ticks += 1,
            }
        }
    });
    over(&outcome, Limit::Time);
    assert!(ticks >= 3, "{ticks}");
}

#[test]
fn memory_is_bounded_and_the_bound_is_exact_enough_to_be_useful() {
    let plugin = guest("plugin_sleep");
    let limits = CallLimits { memory_bytes: 32 << 20, ..CallLimits::default() };
    let outcome = run(&plugin, "grow", json!({"mebibytes": 64}), &limits);
    let error = over(&outcome, Limit::Memory);
    assert_eq!(error.allowed, 32 << 20);
    assert!(error.wanted.unwrap() > 64 << 20 && error.hint().unwrap().contains("--limit memory="), "{error:?}");
    let twin = run(&plugin, "grow", json!({"mebibytes": 16}), &limits);
    assert_eq!(twin.result, Ok(json!(16 << 20)));
    assert!(twin.used.peak_memory_bytes > 16 << 20 && twin.used.peak_memory_bytes <= 32 << 20, "{:?}", twin.used);
    // Too little to start at all.
    let tiny = CallLimits { memory_bytes: 64 << 10, ..CallLimits::default() };
    over(&run(&plugin, "grow", json!({"mebibytes": 0}), &tiny), Limit::Memory);
}

/// A component whose one function makes its table larger, and ends itself when it cannot.
fn growing(elements: usize) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m
                (table $t {elements} funcref)
                (func (export "grow") (param i32) (result i32)
                    (if (i32.lt_s (table.grow $t (ref.null func) (local.get 0)) (i32.const 0)) (then unreachable))
                    (table.size $t)))
            (core instance $i (instantiate $m))
            (func (export "grow") (param "by" u32) (result u32) (canon lift (core func $i "grow"))))"#
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn tables_grow_up_to_the_limit_and_not_by_one_more() {
    let limits = CallLimits::default();
    let most = limits.table_elements;
    let grow = |plugin: &Plugin, by: usize| call(plugin, "g_grow", json!({"by": by}), &nothing(), &limits);
    let plugin = prepare("g", &growing(1));
    assert_eq!(grow(&plugin, most - 1).result, Ok(json!(most)));
    for by in [most, 1 << 30, u32::MAX as usize] {
        let outcome = grow(&plugin, by);
        let error = over(&outcome, Limit::Table);
        assert_eq!((error.allowed, error.wanted), (most as u64, Some(by as u64 + 1)));
    }
    // One that is too large from the start.
    let error = Code::compile_here(engine(), &growing(most + 1)).unwrap_err();
    assert!(format!("{error:?}").contains(&format!("{} which exceeds the limit of {most}", most + 1)), "{error:?}");
    assert_eq!(grow(&prepare("g", &growing(most)), 0).result, Ok(json!(most)));
}

#[test]
fn recursion_ends_at_the_stack() {
    let plugin = guest("plugin_sleep");
    let outcome = run(&plugin, "recurse", json!({"depth": 100_000_000}), &CallLimits::default());
    // Rust keeps part of its stack in linear memory: whichever is full first ends the call.
    match &outcome.result {
        Err(CallError::Limit(error)) => assert_eq!(error.limit, Limit::Stack),
        Err(CallError::Trap(trap)) => assert!(trap.kind.contains("out of bounds memory"), "{trap:?}"),
        other => panic!("{other:?}"),
    }
    assert!(run(&plugin, "recurse", json!({"depth": 100}), &CallLimits::default()).result.is_ok());
}

#[test]
fn random_bytes_are_counted_over_the_whole_call() {
    let plugin = guest("plugin_random");
    let limits = CallLimits { random_bytes: 1 << 20, ..CallLimits::default() };
    let at = run(&plugin, "take", json!({"size": 1024, "times": 1024}), &limits);
    assert!(at.result.unwrap().as_u64().unwrap() > 200);
    assert_eq!(at.used.random_bytes, 1 << 20);
    for (size, times) in [(1024, 1025), (2_u64 << 30, 1), (u64::from(u32::MAX), 1)] {
        let over_it = run(&plugin, "take", json!({"size": size, "times": times}), &limits);
        assert_eq!(over(&over_it, Limit::Random).allowed, 1 << 20);
    }
}

#[test]
fn host_resources_and_host_data_are_bounded() {
    let plugin = guest("plugin_sleep");
    let limits = CallLimits { host_resources: 100, ..CallLimits::default() };
    over(&run(&plugin, "hold", json!({"resources": 200}), &limits), Limit::HostResources);
    assert_eq!(run(&plugin, "hold", json!({"resources": 50}), &limits).result, Ok(json!(50)));

    let limits = CallLimits { host_call_bytes: 1 << 20, ..CallLimits::default() };
    over(&run(&plugin, "zeros", json!({"count": 1 << 20}), &limits), Limit::HostCall);
    let twin = run(&plugin, "zeros", json!({"count": 3}), &limits);
    assert_eq!(twin.result, Ok(json!("AAAA")));
}

#[test]
fn output_is_kept_to_the_limit_and_counted() {
    let plugin = guest("plugin_env");
    let limits = CallLimits { stdio_bytes: 10, ..CallLimits::default() };
    let outcome = run(&plugin, "print", json!({"out": "0123456789", "error": "ab", "times": 1000}), &limits);
    assert_eq!(outcome.result, Ok(Value::Null));
    assert_eq!((outcome.stdout.text().as_str(), outcome.stdout.total), ("0123456789", 10_000));
    assert_eq!((outcome.stderr.text().as_str(), outcome.stderr.total), ("ababababab", 2_000));
}

#[test]
fn a_flood_of_output_is_taken_without_being_kept() {
    let plugin = guest("plugin_env");
    let arguments = json!({"out": "x".repeat(1 << 20), "error": "y", "times": 100});
    let outcome = run(&plugin, "print", arguments, &CallLimits::default());
    assert_eq!(outcome.result, Ok(Value::Null));
    assert_eq!((outcome.stdout.bytes.len(), outcome.stdout.total), (256 << 10, 100 << 20));
    assert!(outcome.stdout.is_truncated() && !outcome.stderr.is_truncated(), "{}", outcome.stderr.total);
}

#[test]
fn a_trap_says_which_plugin_which_export_what_and_where() {
    let plugin = guest("plugin_sleep");
    let outcome = run(&plugin, "panic", json!({"text": "on purpose"}), &CallLimits::default());
    let Err(CallError::Trap(trap)) = &outcome.result else { panic!("{outcome:?}") };
    assert_eq!((trap.plugin.as_str(), trap.export.as_str()), ("g", "test:waiting/guest.panic"));
    assert!(trap.kind.contains("unreachable"), "{trap:?}");
    assert!(trap.backtrace.iter().any(|frame| frame.contains("plugin_sleep")), "{trap:?}");
    assert!(outcome.stderr.text().contains("on purpose"), "{}", outcome.stderr.text());
    assert!(run(&plugin, "recurse", json!({"depth": 1}), &CallLimits::default()).result.is_ok());
}

#[test]
fn many_calls_at_once_share_the_pool() {
    let plugin = guest("plugin_sleep");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let done = runtime.block_on(async {
        let calls = (0..500).map(|_| {
            let plugin = plugin.clone();
            tokio::spawn(async move {
                let limits = CallLimits::default();
                plugin.call("g_guest_recurse", &json!({"depth": 10}), &nothing(), &limits).await.result.is_ok()
            })
        });
        let mut done = 0;
        for call in calls.collect::<Vec<_>>() {
            done += u32::from(call.await.unwrap());
        }
        done
    });
    assert_eq!(done, 500);
}
