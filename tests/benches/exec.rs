//! What a command costs inside a running execution, and from cold, each beside a plain spawn in the same run.
//!
//! `exec/…/back-to-back` and `exec/…/3ms-apart` are compared with `plain/…`; `cold/stigmer` with `cold/bubblewrap`.

#![expect(clippy::disallowed_methods, reason = "benches start the product and its peers")]

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use stigmer_policy::{JailPath, Level, Policy};
use stigmer_sandbox::message::{CommandMode, CommandSpec, FromInit, Setup};
use stigmer_sandbox::prepare::{self, Folders, Person, RunFolder};
use stigmer_sandbox::start::{Jail, Launch};
use stigmer_tests::product::{Product, has_program, level_flags, say};

/// A pause in which caches cool and the scheduler turns elsewhere, as between an agent's commands.
const PAUSE: Duration = Duration::from_millis(3);

struct Running {
    jail: Jail,
    next: u64,
    null: std::fs::File,
    workspace: PathBuf,
    _run: Option<RunFolder>,
}

impl Running {
    fn start(product: &Product, level: Level) -> Option<Running> {
        let person = Person {
            home: product.home(),
            environment: std::env::vars_os().collect(),
            stigmer_home: product.home().join(".stigmer"),
            executable: product.executable.clone(),
        };
        let run = (level != Level::Full)
            .then(|| RunFolder::create(&person.stigmer_home, "bench").expect("a fresh home takes a folder"));
        let folders = Folders::of(level, &person, run.as_ref().map_or(&person.stigmer_home, |run| run.path()))
            .expect("plain paths");
        let workspace = JailPath::absolute(product.workspace()).expect("a plain path");
        let places = prepare::places(&workspace, &folders, &person, Vec::new()).expect("plain paths");
        let plan = prepare::plan(&Policy::workspace(&places), level, &person, None).expect("folders that exist");
        let setup = Setup { plan, mode: CommandMode::Free, runner: None, spare: true, left_out: Vec::new() };
        let launch = Launch::Spawn { executable: product.executable.clone() };
        let jail = Jail::start(&launch, setup, &[])
            .map_err(|error| say(&format!("skipped: {} cannot be held here: {error}", level.name())))
            .ok()?;
        let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").expect("/dev/null");
        Some(Running { jail, next: 0, null, workspace: product.workspace(), _run: run })
    }

    fn run_true(&mut self) {
        use std::os::unix::ffi::OsStrExt;
        self.next += 1;
        let spec = CommandSpec {
            argv: vec![b"/bin/true".to_vec()],
            env: vec![b"PATH=/usr/bin:/bin".to_vec()],
            cwd: self.workspace.as_os_str().as_bytes().to_vec(),
            timeout: Some(Duration::from_secs(10)),
        };
        let null = self.null.as_fd();
        self.jail.command(self.next, spec, [null, null, null]).expect("init listens");
        loop {
            match self.jail.next().expect("init answers") {
                FromInit::Ended(..) => return,
                FromInit::NotStarted(_, failure) => panic!("{failure}"),
                _ => {}
            }
        }
    }
}

fn plain_true() {
    let status = Command::new("/bin/true").env_clear().stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(status.expect("true starts").success());
}

fn apart(rounds: u64, mut act: impl FnMut()) -> Duration {
    let mut total = Duration::ZERO;
    for _ in 0..rounds {
        std::thread::sleep(PAUSE);
        let start = Instant::now();
        act();
        total += start.elapsed();
    }
    total
}

fn in_execution(criterion: &mut Criterion) {
    let product = Product::fresh();
    let mut group = criterion.benchmark_group("exec");
    group.bench_function("plain/back-to-back", |bencher| bencher.iter(plain_true));
    group.bench_function("plain/3ms-apart", |bencher| bencher.iter_custom(|rounds| apart(rounds, plain_true)));
    for level in [Level::Full, Level::Base] {
        let Some(mut running) = Running::start(&product, level) else { continue };
        let name = level.name();
        group.bench_function(format!("{name}/back-to-back"), |bencher| bencher.iter(|| running.run_true()));
        group.bench_function(format!("{name}/3ms-apart"), |bencher| {
            bencher.iter_custom(|rounds| apart(rounds, || running.run_true()));
        });
    }
    group.finish();
}

fn cold(criterion: &mut Criterion) {
    let product = Product::fresh();
    let mut group = criterion.benchmark_group("cold");
    for level in [Level::Full, Level::Base] {
        let mut arguments = vec!["sandbox", "exec"];
        arguments.extend(level_flags(level));
        arguments.extend(["--", "/bin/true"]);
        if product.command(&arguments).status().is_ok_and(|status| status.success()) {
            group.bench_function(format!("stigmer/{}", level.name()), |bencher| {
                bencher.iter(|| assert!(product.command(&arguments).status().expect("starts").success()));
            });
        }
    }
    if has_program("bwrap") {
        let workspace = product.workspace();
        let workspace = workspace.to_str().expect("a plain path");
        // As near to ours as its flags come: a tree of its own, every namespace, the workspace writable.
        let arguments = [
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/tmp",
            "--ro-bind",
            "/usr",
            "/usr",
            "--symlink",
            "usr/bin",
            "/bin",
            "--symlink",
            "usr/lib",
            "/lib",
            "--symlink",
            "usr/lib64",
            "/lib64",
            "--bind",
            workspace,
            workspace,
            "--chdir",
            workspace,
            "/bin/true",
        ];
        let run = || Command::new("bwrap").args(arguments).env_clear().status().is_ok_and(|status| status.success());
        if run() {
            group.bench_function("bubblewrap", |bencher| bencher.iter(|| assert!(run())));
        } else {
            say("skipped: bubblewrap does not work on this machine");
        }
    } else {
        say("skipped: bubblewrap is not on this machine");
    }
    group.finish();
}

criterion_group! { name = benches; config = Criterion::default().sample_size(50); targets = in_execution, cold }
criterion_main!(benches);
