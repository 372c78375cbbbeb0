//! What the product takes of the machine it gives back: processes, namespaces, mounts, descriptors, folders.

#![expect(clippy::disallowed_methods, reason = "tests look at /proc and make their own fixtures")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use stigmer_policy::Level;
use stigmer_tests::processes::{descendants, marked};
use stigmer_tests::product::{Product, level_flags, say, show};
use stigmer_tests::waiting::until;

/// Within this time everything must be given back after a client was told of the end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often each kind of work is done between the two counts: what stays of each is then more than could be overlooked.
const ROUNDS: usize = 3;
/// Connections to the database that are kept for the next reader, and the writer's.
const CONNECTIONS: usize = 4 + 1;

/// What a daemon holds.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    /// Processes below it, also those that have ended and were not waited for.
    processes: Vec<i32>,
    /// Namespaces that it and they are in.
    namespaces: BTreeSet<PathBuf>,
    /// Mounts that it sees.
    mounts: usize,
    /// How many descriptors it has of each kind of thing; `None` where only root may look.
    descriptors: Option<BTreeMap<String, usize>>,
    /// Folders of running executions.
    runs: Vec<std::ffi::OsString>,
}

impl Counts {
    fn of(product: &Product, daemon: i32) -> Counts {
        let processes = descendants(daemon);
        let all = processes.iter().chain([&daemon]);
        let namespaces =
            all.flat_map(|pid| names(&format!("/proc/{pid}/ns")).into_iter().map(move |name| (*pid, name)));
        let namespaces = namespaces
            .filter_map(|(pid, name)| std::fs::read_link(format!("/proc/{pid}/ns/{}", name.display())).ok())
            .collect();
        let mounts = std::fs::read_to_string(format!("/proc/{daemon}/mountinfo"));
        Counts {
            processes,
            namespaces,
            mounts: mounts.unwrap_or_default().lines().count(),
            descriptors: descriptors(daemon),
            runs: names(&product.home().join(".stigmer/run").display().to_string()),
        }
    }
}

impl Counts {
    /// Takes away what was counted before the work only because a client was just leaving.
    fn forget_transient(&mut self, now: &Counts) {
        let (Some(before), Some(now)) = (&mut self.descriptors, &now.descriptors) else { return };
        if let (Some(before), Some(now)) = (before.get_mut("socket:"), now.get("socket:")) {
            *before = (*before).min(*now);
        }
    }
}

fn names(folder: &str) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

fn descriptors(pid: i32) -> Option<BTreeMap<String, usize>> {
    let (mut found, mut database) = (BTreeMap::new(), 0);
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
        // Closed since the folder was read.
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        // `socket:[NUMBER]`: the number is each one's own.
        let target = target.to_string_lossy().split('[').next().unwrap_or_default().to_owned();
        if target.contains("/state.db") {
            // Opened when needed and kept: bounded, not equal.
            database += 1;
            continue;
        }
        *found.entry(target).or_default() += 1;
    }
    // The file and its log for each connection, and the memory that they share.
    assert!(database <= 2 * CONNECTIONS + 1, "{database} descriptors of the database");
    Some(found)
}

fn mounts() -> usize {
    std::fs::read_to_string("/proc/self/mountinfo").expect("/proc is there").lines().count()
}

fn script(folder: &Path, name: &str, call: &str, expect: &str) -> String {
    let file = folder.join(name);
    let text = format!(
        "[[turn]]\n[[turn.call]]\nid = \"one\"\n{call}\n[[turn]]\ntext = \"Over.\"\n[[turn.expect]]\ncall = \"one\"\n{expect}\n"
    );
    std::fs::write(&file, text).expect("the home is the person's");
    format!("script:{}", file.display())
}

/// Everything that a person may do in this test, once.
fn everything(product: &Product, level: Level, marker: &str) {
    let home = product.home();
    let guest = PathBuf::from(std::env::var_os("STIGMER_GUESTS").expect("`cargo xtask test` names the guests"));
    let guest = guest.join("plugin_types.wasm").display().to_string();
    let run = |model: &str, more: &[&str]| {
        let mut words = vec!["run", "-m", "go", "--approve", "auto", "--model", model];
        words.extend(level_flags(level));
        words.extend(more);
        product.command(&words)
    };
    let ran = |model: &str, more: &[&str]| {
        let output = run(model, more).stdin(Stdio::null()).output().expect("the product starts");
        assert!(output.status.success(), "{}", show(&output));
    };
    let leaves = format!("setsid sh -c 'sleep 60' {marker} & echo done");
    let call = format!("tool = \"execute\"\nargs = {{ command = \"{leaves}\" }}");
    ran(&script(&home, "plain.toml", &call, "contains = \"done\""), &[]);
    let call = "tool = \"plugin_types_add\"\nargs = { a = 1, b = 2 }";
    ran(&script(&home, "plugin.toml", call, "contains = \"3\""), &["--plugin", &guest]);
    let policy = home.join("short.toml");
    std::fs::write(&policy, "[limits]\ncommand-seconds = 1\n").expect("the home is the person's");
    let call = format!("tool = \"execute\"\nargs = {{ command = \"sh -c 'sleep 60' {marker}\" }}");
    let late = script(&home, "late.toml", &call, "is_error = true\ncontains = \"1 s\"");
    ran(&late, &["--policy", &policy.display().to_string()]);
    let began = product.workspace().join("began");
    let _ = std::fs::remove_file(&began);
    let call = format!("tool = \"execute\"\nargs = {{ command = \"touch began; sh -c 'sleep 60' {marker}\" }}");
    let mut cancelled = run(&script(&home, "long.toml", &call, "equals = \"never\""), &[]);
    let child = cancelled.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    until(PATIENCE, "the command begins", || began.exists());
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("a process id");
    kill_process(pid, Signal::INT).expect("our own child");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    let called = product.plugin(level, "plugin_types", "plugin_types_add", "{\"a\":1,\"b\":2}");
    assert!(called.status.success(), "{}", show(&called));
    assert!(product.exec(level, &leaves).status.success());
}

#[test]
fn what_was_taken_of_the_machine_is_given_back() {
    for level in [Level::Full, Level::Base] {
        let product = Product::fresh();
        if !product.holds(level, "counts") {
            continue;
        }
        let marker = format!("counts-{}-{}", std::process::id(), level.name());
        let before = mounts();
        let started = product.run(&[&["local", "start"][..], &level_flags(level)].concat(), b"");
        assert!(started.status.success(), "{}", show(&started));
        let daemon = product.daemon();
        let mut before_work = Counts::of(&product, daemon);
        for _ in 0..ROUNDS {
            everything(&product, level, &marker);
        }
        // A client that has just gone, `status` among them, still has its connection for a moment.
        until(PATIENCE, &format!("at {} there was {before_work:?}, and then more", level.name()), || {
            let now = Counts::of(&product, daemon);
            before_work.forget_transient(&now);
            now == before_work
        });
        if before_work.descriptors.is_none() {
            say("skipped: counts: the daemon's descriptors are seen by root only");
        }
        assert_eq!(marked(&marker), Vec::<i32>::new(), "commands at {}", level.name());
        let stopped = product.run(&["local", "stop"], b"");
        assert!(stopped.status.success(), "{}", show(&stopped));
        assert_eq!(names(&product.home().join(".stigmer/run").display().to_string()), Vec::<std::ffi::OsString>::new());
        assert_eq!(marked(&product.home().join(".stigmer").display().to_string()), Vec::<i32>::new());
        until(PATIENCE, "the daemon is gone", || names(&format!("/proc/{daemon}/fd")).is_empty());
        assert_eq!(mounts(), before, "mounts at {}", level.name());
    }
}
