//! Whoever of a command's keepers is killed, and however many at once: nothing of the command is left.

use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use stigmer_policy::Level;
use stigmer_tests::processes::{descendants, kill, marked};
use stigmer_tests::product::{Product, level_flags};

/// Within this time everything must be gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Starts a command that says when it runs, with a child that left its session. Both end by themselves after a while.
fn start(product: &Product, level: Level, marker: &str) -> Child {
    let wait = "for second in 1 2 3 4 5 6 7 8 9; do sleep 1; done";
    let script = format!("setsid sh -c '{wait}' {} & echo ready; {wait}", child_of(marker));
    let mut arguments = vec!["sandbox", "exec"];
    arguments.extend(level_flags(level));
    arguments.extend(["--", "sh", "-c", &script, marker]);
    let mut child =
        product.command(&arguments).stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("the product starts");
    let mut ready = [0; 6];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("the command says that it runs");
    child
}

fn child_of(marker: &str) -> String {
    format!("{marker}-child")
}

/// The keepers that share our own executable: the command line, init's halves, stages.
fn keepers(product: &Product, child: &Child) -> Vec<i32> {
    let root = i32::try_from(child.id()).expect("a process id");
    let ours = |pid: &i32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| path == product.executable);
    let mut keepers = vec![root];
    keepers.extend(descendants(root).into_iter().filter(|pid| {
        // An unreadable link belongs to a keeper too: init hides itself.
        ours(pid) || std::fs::read_link(format!("/proc/{pid}/exe")).is_err()
    }));
    keepers
}

#[test]
fn whoever_is_killed_the_command_ends() {
    for level in [Level::Full, Level::Base, Level::Filesystem] {
        let product = Product::fresh();
        if !product.holds(level, "killed") {
            continue;
        }
        let marker = |case: &str| format!("killed-{}-{}-{case}", std::process::id(), level.name());
        // How many there are is the product's affair; each is killed alone, then all but the command line, then all.
        let mut counted = start(&product, level, &marker("count"));
        let count = keepers(&product, &counted).len();
        kill(i32::try_from(counted.id()).expect("a process id"));
        let _ = counted.wait();
        assert!(count >= 3, "the command line, init and a stage at {}: {count}", level.name());
        let single = (0..count).map(|index| (format!("{index}"), vec![index]));
        let together = [("inner".to_owned(), (1..count).collect()), ("all".to_owned(), (0..count).collect::<Vec<_>>())];
        for (case, chosen) in single.chain(together) {
            let marker = marker(&case);
            let mut child = start(&product, level, &marker);
            assert!(!marked(&marker).is_empty(), "the command is seen while it runs");
            let keepers = keepers(&product, &child);
            for index in &chosen {
                if let Some(pid) = keepers.get(*index) {
                    kill(*pid);
                }
            }
            let gone = |marker: &str| {
                let begun = Instant::now();
                while !marked(marker).is_empty() {
                    let left = marked(marker);
                    assert!(begun.elapsed() < PATIENCE, "{case} at {}: {left:?} of {keepers:?} live on", level.name());
                    std::thread::yield_now();
                }
            };
            gone(&marker);
            if level != Level::Full && chosen.len() == count {
                // Nobody was left who knew the child that left its session. The next start finds it.
                assert!(product.exec(level, "exit 0").status.success());
            }
            gone(&child_of(&marker));
            let _ = child.wait();
        }
    }
}

/// Names in the folder of runs.
fn runs(product: &Product) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(product.home().join(".stigmer/run")).expect("the folder of runs is there");
    entries.map(|entry| entry.expect("a readable folder").file_name()).collect()
}

#[test]
fn what_a_killed_command_line_left_is_removed_at_the_next_start_and_a_living_one_stays() {
    let product = Product::fresh();
    if !product.holds(Level::Base, "left by a killed one") {
        return;
    }
    let marker = |name: &str| format!("left-{}-{name}", std::process::id());
    let mut living = start(&product, Level::Base, &marker("living"));
    let lives = runs(&product);
    assert_eq!(lives.len(), 1, "the folder of the living one: {lives:?}");
    let mut killed = start(&product, Level::Base, &marker("killed"));
    assert_eq!(runs(&product).len(), 2);
    kill(i32::try_from(killed.id()).expect("a process id"));
    let _ = killed.wait();
    let begun = Instant::now();
    while !marked(&marker("killed")).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "the command of a killed one lives on");
        std::thread::yield_now();
    }
    assert_eq!(runs(&product).len(), 2, "nobody was there to remove it");
    let next = product.exec(Level::Base, "exit 0");
    assert!(next.status.success(), "{next:?}");
    assert_eq!(runs(&product), lives);
    let folder = product.home().join(".stigmer/run").join(&lives[0]);
    assert!(folder.join("home").is_dir() && folder.join("tmp").is_dir(), "the living one has all of it");
    kill(i32::try_from(living.id()).expect("a process id"));
    let _ = living.wait();
    assert!(product.exec(Level::Base, "exit 0").status.success());
    assert_eq!(runs(&product), Vec::<std::ffi::OsString>::new());
}
