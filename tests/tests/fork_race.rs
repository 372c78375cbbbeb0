//! A command whose processes fork faster than anybody can look, leave their session, ignore signals and go for whoever
//! started them: it ends when it is told to, and nothing of it is left.

#![expect(clippy::disallowed_methods, reason = "tests look at /proc and make their own fixtures")]

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use stigmer_policy::Level;
use stigmer_tests::chance::rounds;
use stigmer_tests::processes::{kill, marked};
use stigmer_tests::product::{Product, level_flags};
use stigmer_tests::waiting::until;

/// Within this time everything must be gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// Looks at the machine's processes, one after the other, that all must find nothing: a process that forks and ends all
/// the time can be missed by one.
const LOOKS: usize = 3;
/// Rows of processes that fork at once.
const RACERS: usize = 20;
/// Processes of one row, should nobody end it: a few seconds' worth.
const HOPS: usize = 2_000;

/// One process: goes for its starter (but the first ones not for the command itself), starts its successor in a session of its own, and is gone.
const RACER: &str = "trap '' TERM HUP INT\n\
                     test -e stop && exit\n\
                     test \"$2\" -gt 0 || exit\n\
                     printf . >> hops\n\
                     test \"$2\" -lt \"$3\" && kill -9 $PPID 2> /dev/null\n\
                     setsid sh racer.sh \"$1\" $(($2 - 1)) \"$3\" &\n";

/// How the race is ended.
#[derive(Debug, Clone, Copy)]
enum End {
    Deadline,
    Signal,
    KilledCaller,
}

const ENDS: [End; 3] = [End::Deadline, End::Signal, End::KilledCaller];

fn start(product: &Product, level: Level, marker: &str, end: End) -> Child {
    let racers = format!(
        "n=0; while [ $n -lt {RACERS} ]; do sh racer.sh {marker} {HOPS} {HOPS} & n=$((n+1)); done; echo ready; sleep 30"
    );
    let mut arguments = vec!["sandbox", "exec"];
    arguments.extend(level_flags(level));
    arguments.extend(["--timeout", if matches!(end, End::Deadline) { "0.3" } else { "30" }]);
    arguments.extend(["--", "sh", "-c", &racers]);
    let mut command = product.command(&arguments);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let mut ready = [0; 6];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("the race begins");
    child
}

fn hops(workspace: &Path) -> u64 {
    std::fs::metadata(workspace.join("hops")).map_or(0, |file| file.len())
}

#[test]
fn of_a_command_that_forks_away_nothing_is_left_and_nobody_outside_is_hurt() {
    for level in [Level::Full, Level::Base] {
        let product = Product::fresh();
        if !product.holds(level, "fork race") {
            continue;
        }
        let workspace = product.workspace();
        std::fs::write(workspace.join("racer.sh"), RACER).expect("the workspace is the person's");
        let mut witness = Command::new("sleep").arg("600").spawn().expect("sleep starts");
        for round in 0..rounds(9, 201) {
            let end = ENDS[round % ENDS.len()];
            let what = format!("round {round} at {}, {end:?}", level.name());
            let marker = format!("race-{}-{}-{round}", std::process::id(), level.name());
            let before = hops(&workspace);
            let mut child = start(&product, level, &marker, end);
            // Many have come and gone before the end.
            let enough = before + RACERS as u64 * 2;
            until(PATIENCE, &format!("{what}: nobody forks"), || hops(&workspace) > enough);
            let pid = i32::try_from(child.id()).expect("a process id");
            match end {
                End::Deadline => {}
                End::Signal => {
                    // The caller passes it on to the command, which does not ignore it; the racers do.
                    kill_process(Pid::from_raw(pid).expect("a process id"), Signal::TERM).expect("our own child");
                }
                End::KilledCaller => kill(pid),
            }
            let status = child.wait().expect("it ends");
            match end {
                End::Deadline => assert_eq!(status.code(), Some(124), "{what}"),
                End::Signal => assert_eq!(status.code(), Some(128 + 15), "{what}"),
                // Nobody is left to wait for: what the caller started notices by itself.
                End::KilledCaller => {
                    until(PATIENCE, &format!("{what}: it lives on"), || (0..LOOKS).all(|_| marked(&marker).is_empty()))
                }
            }
            let after = hops(&workspace);
            for _ in 0..LOOKS {
                assert_eq!(marked(&marker), Vec::<i32>::new(), "{what}");
            }
            assert_eq!(hops(&workspace), after, "{what}: somebody forks on");
        }
        std::fs::write(workspace.join("stop"), "").expect("the workspace is the person's");
        assert!(witness.try_wait().expect("our own child").is_none(), "a process outside was ended");
        witness.kill().expect("our own child");
        witness.wait().expect("our own child");
    }
}
