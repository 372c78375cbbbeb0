//! Which layer holds which promise: each one, and each pair, is left out in turn, every act is tried, and what is then
//! found must be what the promise table says is left.
//!
//! No harness: jails are cloned from a process with one thread. Run as root, it runs again as an ordinary user.

#![expect(clippy::disallowed_methods, reason = "a test builds its own fixtures and starts itself")]

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use stigmer_policy::promise::strength_without;
use stigmer_policy::{Layer, Level, Promise, Strength};
use stigmer_sandbox::prepare::Person;
use stigmer_sandbox::probe::{Control, Outcome, Proof, Trial, prove};

/// An ordinary user: `nobody`.
const ORDINARY: u32 = 65_534;

fn main() -> ExitCode {
    // What the libtest harness would answer; `--list` is asked by tools that count tests.
    if std::env::args().any(|argument| argument == "--list") {
        println_quietly("layers: test");
        return ExitCode::SUCCESS;
    }
    let root = rustix::process::geteuid().is_root();
    let mut failures = run(root);
    if root {
        let program = std::env::current_exe().expect("a running program has a path");
        let status = Command::new(program).uid(ORDINARY).gid(ORDINARY).status().expect("the test starts again");
        if !status.success() {
            failures.push(format!("as uid {ORDINARY}: see above"));
        }
    }
    for failure in &failures {
        say(failure);
    }
    ExitCode::from(u8::from(!failures.is_empty()))
}

/// Every trial as the calling user; returns what does not match.
fn run(root: bool) -> Vec<String> {
    let ground = Ground::make();
    let person = Person {
        home: ground.0.join("home"),
        environment: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
        stigmer_home: ground.0.join("state"),
        executable: std::env::current_exe().expect("a running program has a path"),
    };
    let mut failures = Vec::new();
    for level in [Level::Full, Level::Base] {
        let trials = trials(level);
        let begun = Instant::now();
        let results = prove(&person, &ground.0, &trials).expect("the probes run");
        say(&format!("{} root={root}: {} trials in {:?}", level.name(), trials.len(), begun.elapsed()));
        for (trial, result) in trials.iter().zip(results) {
            match result {
                Ok(proof) => failures.extend(compare(trial, &proof)),
                Err(failure) => failures.push(format!("{trial:?}: {failure:?}")),
            }
        }
    }
    failures
}

/// Nothing left out, each layer of the level, each pair of them.
fn trials(level: Level) -> Vec<Trial> {
    let layers: Vec<_> = Layer::ALL.iter().copied().filter(|layer| layer.stands_at(level)).collect();
    let mut trials = vec![Trial::of(level)];
    for (at, one) in layers.iter().enumerate() {
        trials.push(Trial { level, left_out: vec![*one] });
        for other in &layers[at + 1..] {
            trials.push(Trial { level, left_out: vec![*one, *other] });
        }
    }
    trials
}

fn compare(trial: &Trial, proof: &Proof) -> Vec<String> {
    let names: Vec<_> = trial.left_out.iter().map(|layer| layer.name()).collect();
    let what = format!("{} root={} without {names:?}", trial.level.name(), proof.root);
    let mut failures = Vec::new();
    for promise in Promise::ALL.iter().copied() {
        let said = strength_without(promise, trial.level, proof.root, &trial.left_out);
        let Some(found) = proof.measured(promise) else {
            failures.push(format!("{what}: no act of {} works even outside", promise.name()));
            continue;
        };
        if !matches(promise, said, found) {
            let acts = proof.of(promise).filter(|act| act.control == Control::Works);
            let acts: Vec<_> = acts.map(|act| format!("{}: {:?} ({})", act.act, act.found, act.detail)).collect();
            failures.push(format!("{what}: {} is {found:?}, the table says {said:?}; {acts:?}", promise.name()));
        }
    }
    let broken = proof.findings.iter().filter(|finding| finding.outcome == Outcome::Broken);
    failures.extend(
        broken.map(|finding| format!("{what}: {} {}: {}", finding.promise.name(), finding.act, finding.detail)),
    );
    failures
}

/// Whether what was found is what the table says. A survivor that is found and ended looks like one that cannot be.
fn matches(promise: Promise, said: Strength, found: Strength) -> bool {
    match promise {
        Promise::Survivors => (said == Strength::Open) == (found == Strength::Open),
        _ => said == found,
    }
}

/// A folder that no jail is granted, removed at the end.
struct Ground(PathBuf);

impl Ground {
    fn make() -> Ground {
        let path = Path::new("/var/tmp").join(format!("stigmer-layers-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).expect("/var/tmp takes a folder");
        std::fs::create_dir(path.join("home")).expect("the folder takes another");
        Ground(path)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn println_quietly(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}
