//! What an execution costs besides the model's and the tools' own time: one step of the agent, the start of a runner, the
//! start of the daemon, memory. The model is scripted and answers at once.
//!
//! A step survives `kill -9`, as does what `step/write` writes to the same disk; `step/power-safe write` survives a loss
//! of power, too, which is more than a step promises.

#![expect(clippy::disallowed_methods, reason = "benches start the product and look at /proc")]

use std::fmt::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use stigmer_policy::Level;
use stigmer_tests::processes::{arguments, descendants};
use stigmer_tests::product::{Product, level_flags, say, show};

/// Steps of one run at most: below the turns that an agent may take.
const MOST: u64 = 400;
/// About what one step leaves in the journal.
const ENTRY: [u8; 1024] = [7; 1024];
/// Entries in the file of the comparison.
const LAPS: u64 = 4096;
/// Within this time an execution must have come to its question.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at what the daemon says.
const PAUSE: Duration = Duration::from_millis(20);
/// Starts of a runner that the median is taken of.
const STARTS: usize = 21;

fn start(product: &Product, level: Level) -> bool {
    let started = product.run(&[&["local", "start"][..], &level_flags(level)].concat(), b"");
    if !started.status.success() {
        say(&format!("skipped: {} cannot be held here: {}", level.name(), show(&started)));
    }
    started.status.success()
}

fn stop(product: &Product) {
    let stopped = product.run(&["local", "stop"], b"");
    assert!(stopped.status.success(), "{}", show(&stopped));
}

/// A run of `steps` calls of a file tool, and the time that it took.
fn run(product: &Product, level: Level, steps: u64) -> Duration {
    let file = product.home().join("steps.toml");
    let text = product.workspace().join("lines.txt");
    // Another line each time: the same call with the same result would be taken for a loop.
    let expect = |step: u64| format!("[[turn.expect]]\ncall = \"c{step}\"\ncontains = [\"line {step}\"]\n");
    let mut script = String::new();
    for step in 0..steps {
        script.push_str("[[turn]]\n");
        script.push_str(&step.checked_sub(1).map(expect).unwrap_or_default());
        let _ = write!(
            script,
            "[[turn.call]]\nid = \"c{step}\"\ntool = \"read_file\"\nargs = {{ file_path = \"{}\", offset = {step}, \
             limit = 1 }}\n",
            text.display()
        );
    }
    script.push_str("[[turn]]\ntext = \"Done.\"\n");
    script.push_str(&expect(steps - 1));
    std::fs::write(&file, script).expect("the home is the person's");
    let model = format!("script:{}", file.display());
    let mut arguments = vec!["run", "-m", "read", "--model", &model, "--approve", "auto", "--max-turns", "1000"];
    arguments.extend(level_flags(level));
    let begun = Instant::now();
    let output = product.run(&arguments, b"");
    let taken = begun.elapsed();
    assert!(output.status.success(), "{}", show(&output));
    taken
}

fn step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(20));
    for level in [Level::Full, Level::Base] {
        let product = Product::fresh();
        if !start(&product, level) {
            continue;
        }
        let lines: String = (0..MOST).map(|line| format!("line {line}\n")).collect();
        std::fs::write(product.workspace().join("lines.txt"), lines).expect("the workspace is the person's");
        let once = (0..3).map(|_| run(&product, level, 1)).min().unwrap_or_default();
        group.bench_function(level.name(), |bencher| {
            bencher.iter_custom(|rounds| {
                let (mut left, mut total) = (rounds, Duration::ZERO);
                while left > 0 {
                    // Never so few that a run's start and end outweigh its steps.
                    let steps = left.clamp(100, MOST - 1);
                    let taken = run(&product, level, steps + 1).saturating_sub(once);
                    let counted = steps.min(left);
                    total +=
                        taken * u32::try_from(counted).expect("hundreds") / u32::try_from(steps).expect("hundreds");
                    left -= counted;
                }
                total
            });
        });
        stop(&product);
        if level == Level::Full {
            let path = product.home().join("append");
            let file = std::fs::File::create(path).expect("the home is ours");
            // Round and round: a bench that is fast must not fill the disk.
            let mut at = (0..LAPS).cycle().map(|lap| lap * ENTRY.len() as u64);
            let mut write = || file.write_all_at(&ENTRY, at.next().unwrap_or(0)).expect("the disk has room");
            group.bench_function("write", |bencher| bencher.iter(&mut write));
            group.bench_function("power-safe write", |bencher| {
                bencher.iter(|| {
                    write();
                    file.sync_data().expect("the disk takes it");
                });
            });
        }
    }
    group.finish();
}

/// From the decision to start a runner to its first call, as the daemon's log has it.
fn runner(_: &mut Criterion) {
    for level in [Level::Full, Level::Base] {
        let product = Product::fresh();
        if !start(&product, level) {
            continue;
        }
        std::fs::write(product.workspace().join("lines.txt"), "line 0\n").expect("the workspace is the person's");
        for _ in 0..STARTS {
            run(&product, level, 1);
        }
        stop(&product);
        let log = std::fs::read_to_string(product.home().join(".stigmer/logs/daemon.log")).expect("the daemon's log");
        let number = |line: &str| {
            let (_, rest) = line.split_once("a runner leased")?;
            let (_, rest) = rest.split_once("microseconds=")?;
            rest.split_whitespace().next()?.parse::<u64>().ok()
        };
        let mut taken: Vec<_> = log.lines().filter_map(number).collect();
        taken.sort_unstable();
        assert_eq!(taken.len(), STARTS, "one line for each start");
        say(&format!("runner/{}: {} µs to its first call (median of {STARTS})", level.name(), taken[STARTS / 2]));
    }
}

fn ready(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("daemon");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for level in [Level::Full, Level::Base] {
        let product = Product::fresh();
        if !start(&product, level) {
            continue;
        }
        stop(&product);
        group.bench_function(format!("start to ready/{}", level.name()), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut total = Duration::ZERO;
                for _ in 0..rounds {
                    let begun = Instant::now();
                    assert!(start(&product, level));
                    total += begun.elapsed();
                    stop(&product);
                }
                total
            });
        });
    }
    group.finish();
}

/// Proportional set sizes while one execution waits for a person.
fn memory(_: &mut Criterion) {
    for level in [Level::Full, Level::Base] {
        let product = Product::fresh();
        if !start(&product, level) {
            continue;
        }
        let file = product.home().join("asks.toml");
        let script = "[[turn]]\n[[turn.call]]\nid = \"a\"\ntool = \"execute\"\nargs = { command = \"true\" }\n\
                      [[turn]]\ntext = \"Done.\"\n[[turn.expect]]\ncall = \"a\"\nmatches = \"\"\n";
        std::fs::write(&file, script).expect("the home is the person's");
        let model = format!("script:{}", file.display());
        let mut words = vec!["run", "-m", "ask", "--model", &model, "--approve", "ask"];
        words.extend(level_flags(level));
        let mut client = product.command(&words);
        let client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let client = client.expect("the product starts");
        let begun = Instant::now();
        // Nobody answers: the runner waits.
        while !String::from_utf8_lossy(&product.run(&["local", "status"], b"").stdout).contains("1 parked") {
            assert!(begun.elapsed() < PATIENCE, "the execution asks");
            std::thread::sleep(PAUSE);
        }
        let daemon = product.daemon();
        for pid in std::iter::once(daemon).chain(descendants(daemon)) {
            say(&format!("memory/{}: {:>7} kB {}", level.name(), pss(pid), arguments(pid).join(" ")));
        }
        stop(&product);
        let _ = client.wait_with_output();
    }
}

fn pss(pid: i32) -> u64 {
    let text =
        std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

criterion_group!(benches, step, runner, ready, memory);
criterion_main!(benches);
