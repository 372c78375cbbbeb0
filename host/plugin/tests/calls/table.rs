//! The first-party component `table` against figures computed here, on files small and large.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::time::Duration;

use serde_json::{Value, json};
use stigmer_plugin::{CallError, CallLimits, CallOutcome};
use stigmer_policy::Access;

use crate::support::{Workspace, call, guest};

/// Memory that a file of any size must pass in.
const BOUND: u64 = 8 << 20;

fn run(work: &Workspace, tool: &str, args: Value) -> CallOutcome {
    // A busy machine and a host without optimisation must not turn a measurement of memory into one of time.
    let limits = CallLimits { time: Duration::from_secs(300), ..CallLimits::default() };
    call(&guest("table"), tool, args, &work.grants(Access::ReadOnly), &limits)
}

/// Numbers in no order, without a library: the low bits of a linear congruential generator (Knuth, MMIX).
fn numbers() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(1_u64), |it| {
        Some(it.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
    .map(|it| it >> 33)
}

#[test]
fn quantiles_means_and_groups_are_those_of_another_computation() {
    let work = Workspace::new();
    let (mut text, mut values) = ("kind,amount\n".to_owned(), Vec::new());
    let mut groups: BTreeMap<String, (u64, i64, i64, i64)> = BTreeMap::new();
    for (at, number) in numbers().take(4001).enumerate() {
        let (kind, amount) = (format!("k{}", at % 7), i64::try_from(number % 100_000).unwrap() - 50_000);
        writeln!(text, "{kind},{amount}").unwrap();
        values.push(amount);
        let group = groups.entry(kind).or_insert((0, 0, i64::MAX, i64::MIN));
        *group = (group.0 + 1, group.1 + amount, group.2.min(amount), group.3.max(amount));
    }
    let path = work.path("t.csv");
    fs::write(&path, text).unwrap();
    values.sort_unstable();

    let outcome = run(&work, "profile", json!({ "path": path }));
    let profile = outcome.result.unwrap();
    assert_eq!(profile["rows"], 4001);
    let numeric = &profile["columns"][1]["numeric"];
    let mean = values.iter().sum::<i64>() as f64 / 4001.0;
    assert!((numeric["mean"].as_f64().unwrap() - mean).abs() < 1e-6, "{numeric} {mean}");
    // 4001 values: a quarter is the 1001st, exactly, by every usual definition.
    for (key, at) in [("q25", 1000), ("q50", 2000), ("q75", 3000)] {
        assert_eq!(numeric[key].as_f64(), Some(values[at] as f64), "{key}: {numeric}");
    }
    assert_eq!(numeric["quantiles-exact"], true);

    let aggregates: Vec<_> = ["sum", "min", "max"].map(|it| json!({"function": it, "column": "amount"})).to_vec();
    let aggregates: Vec<_> = std::iter::once(json!({"function": "count"})).chain(aggregates).collect();
    let query =
        json!({"group-by": ["kind"], "aggregates": aggregates, "order": [{"column": "kind", "descending": false}]});
    let rows = run(&work, "query", json!({"path": path, "query": query})).result.unwrap();
    let wanted: Vec<_> = groups
        .iter()
        .map(|(kind, (count, sum, least, most))| {
            json!([kind, count.to_string(), sum.to_string(), least.to_string(), most.to_string()])
        })
        .collect();
    assert_eq!(rows["rows"], json!(wanted));
}

#[test]
fn a_line_that_cannot_be_read_is_named_with_its_number_and_reason() {
    let work = Workspace::new();
    let path = work.path("t.jsonl");
    for (text, words) in [
        ("{\"a\": 1}\n{\"a\": }\n", ["line 2 of the file, column 7", "expected value"]),
        // Empty lines are no rows; an editor counts them all the same.
        ("{\"a\": 1}\n\n\n{\"a\": x}\n", ["line 4 of the file", "expected value"]),
        ("{\"a\": 1}\n{\"a\": 2}\n[1]\n", ["line 3 of the file", "expected a JSON object"]),
    ] {
        fs::write(&path, text).unwrap();
        let outcome = run(&work, "profile", json!({ "path": path }));
        let Err(CallError::Guest(error)) = &outcome.result else { panic!("{text}: {outcome:?}") };
        let said = error.to_string();
        assert!(words.iter().all(|word| said.contains(word)), "{text}: {said}");
    }
    fs::write(&path, "{\"a\": 1}\n{\"a\": 2}\n").unwrap();
    assert_eq!(run(&work, "profile", json!({ "path": path })).result.unwrap()["rows"], 2);
}

/// Small without `STIGMER_LONG`, 200 MB with it: the peak must be bounded by the same figure.
#[test]
#[expect(clippy::print_stdout, reason = "the figure is what the test is run for")]
fn a_large_file_passes_in_bounded_memory() {
    let megabytes = if std::env::var_os("STIGMER_LONG").is_some_and(|value| value == *"1") { 200 } else { 8 };
    let work = Workspace::new();
    let path = work.path("large.csv");
    let mut file = BufWriter::new(fs::File::create(&path).unwrap());
    file.write_all(b"id,kind,amount,note\n").unwrap();
    let (mut written, mut rows, mut firsts) = (20, 0_u64, 0_u64);
    for number in numbers() {
        let line = format!("{rows},k{},{}.25,a note of some length about row {number}\n", number % 100, number % 1000);
        file.write_all(line.as_bytes()).unwrap();
        written += line.len();
        rows += 1;
        firsts += u64::from(number % 100 == 0);
        if written >= megabytes * 1_000_000 {
            break;
        }
    }
    drop(file);
    let query = json!({"filters": [{"column": "kind", "operator": "equals", "value": "k0"}],
        "aggregates": [{"function": "count"}]});
    for (tool, args) in [("profile", json!({ "path": path })), ("query", json!({"path": path, "query": query}))] {
        let outcome = run(&work, tool, args);
        let used = outcome.used;
        let value = outcome.result.unwrap_or_else(|error| panic!("{tool}: {error}"));
        println!("{tool} of {megabytes} MB: peak {} bytes, {:?}", used.peak_memory_bytes, used.wall);
        assert!(used.peak_memory_bytes < BOUND, "{tool}: {used:?}");
        match tool {
            "profile" => assert_eq!(value["rows"], rows),
            _ => assert_eq!(value["rows"], json!([[firsts.to_string()]])),
        }
    }
}
