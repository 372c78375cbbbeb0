//! Others at the socket, leftovers of a killed daemon, two at once: a clear error, and no process but our own is hurt.

use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::world::{World, alive};

fn daemon(world: &World) -> i32 {
    let status: serde_json::Value = serde_json::from_str(&world.run(&["local", "status", "--json"]).out).unwrap();
    i32::try_from(status["pid"].as_i64().unwrap()).unwrap()
}

fn nothing_is_left(world: &World) {
    assert!(!world.stigmer_home().join("daemon.sock").exists());
    assert_eq!(std::fs::read_dir(world.stigmer_home().join("run")).unwrap().count(), 0);
}

/// Some process of ours that has nothing to do with a daemon; ended when dropped.
struct Bystander(Child);

impl Bystander {
    fn start() -> Bystander {
        Bystander(Command::new("sleep").arg("300").stdin(Stdio::null()).spawn().unwrap())
    }

    fn id(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn whoever_else_holds_the_socket_is_named_and_left_alone() {
    let world = World::new();
    std::fs::create_dir(world.stigmer_home()).unwrap();
    let socket = world.stigmer_home().join("daemon.sock");
    let held = UnixListener::bind(&socket).unwrap();
    let own = std::process::id().to_string();
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    // Even its number in the lock file makes it no daemon: the lock is the truth.
    for lock in [None, Some(own.as_str())] {
        if let Some(text) = lock {
            world.write("home/.stigmer/daemon.lock", text);
        }
        for verb in ["start", "stop", "restart", "status"] {
            let sandbox: &[&str] =
                if verb == "start" || verb == "restart" { &["--sandbox", "filesystem"] } else { &[] };
            let said = world.run(&[&["local", verb], sandbox].concat());
            assert_eq!(said.code, 3, "{verb}");
            let says = format!("is held by `{}` (pid {own})", name.trim());
            assert!(said.err.contains(&says) && said.err.contains("STIGMER_HOME"), "{}", said.err);
        }
    }
    drop(held);
    // The socket file is stale now; the same start is allowed.
    world.start();
    assert!(alive(daemon(&world)));
}

#[test]
fn a_daemon_whose_lock_is_gone_before_its_socket_is_waited_for() {
    let world = World::new();
    std::fs::create_dir(world.stigmer_home()).unwrap();
    // What the kernel leaves for a moment of one that was killed: its number, no lock, and a socket that still takes.
    world.write("home/.stigmer/daemon.lock", &std::process::id().to_string());
    let held = UnixListener::bind(world.stigmer_home().join("daemon.sock")).unwrap();
    let start = std::thread::scope(|scope| {
        let leaving = scope.spawn(move || {
            // Closed once the start has come to it, and not before.
            drop(held.accept().unwrap());
            drop(held);
        });
        let said = world.run(&["local", "start", "--sandbox", "filesystem"]);
        leaving.join().unwrap();
        said
    });
    assert_eq!(start.code, 0, "{}", start.err);
    assert!(alive(daemon(&world)));
    assert_eq!(world.run(&["local", "stop"]).out, "stopped\n");
    nothing_is_left(&world);
}

#[test]
fn after_a_killed_daemon_the_next_starts_and_a_recycled_pid_is_not_signalled() {
    let world = World::new();
    world.start();
    let first = daemon(&world);
    let pid = Pid::from_raw(first).unwrap();
    let whole = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    // Readable when the last of its threads is gone (pidfd_open(2)), and with it socket and lock.
    poll(&mut [PollFd::new(&whole, PollFlags::IN)], None).unwrap();
    assert!(world.stigmer_home().join("daemon.sock").exists(), "what a killed daemon leaves");
    let bystander = Bystander::start();
    world.write("home/.stigmer/daemon.lock", &format!("{}\n", bystander.id()));
    assert_eq!(world.run(&["local", "stop"]).out, "no daemon was running\n");
    assert_eq!(world.run(&["local", "status"]).code, 1);
    world.start();
    assert_ne!(daemon(&world), first);
    assert_eq!(world.run(&["local", "stop"]).out, "stopped\n");
    assert!(alive(bystander.id()));
    nothing_is_left(&world);
}

#[test]
fn a_daemon_that_does_not_listen_any_more_is_told_twice_and_then_ended() {
    let world = World::new();
    world.start();
    let pid = daemon(&world);
    kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
    let said = world.run(&["local", "stop"]);
    assert_eq!((said.code, said.out.as_str()), (0, "stopped\n"), "{}", said.err);
    for words in ["does not stop when asked", "(SIGTERM)", "(SIGKILL)"] {
        assert!(said.err.contains(words), "{}", said.err);
    }
    assert!(!alive(pid));
    // What it left is in nobody's way.
    world.start();
    assert_eq!(world.run(&["local", "stop"]).out, "stopped\n");
    nothing_is_left(&world);
}

#[test]
fn of_two_starts_at_once_one_daemon_comes() {
    let world = World::new();
    for _ in 0..3 {
        let start = || {
            let mut command = world.command(&["local", "start", "--sandbox", "filesystem"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let both = [start(), start()].map(|child| child.wait_with_output().unwrap());
        let codes = both.each_ref().map(|output| output.status.code().unwrap());
        assert!(codes.contains(&0), "{both:?}");
        let pid = daemon(&world).to_string();
        for output in &both {
            let words = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            // Whoever came second names the first one, unless it had not written its number yet.
            assert!(words.contains(&format!("(pid {pid})")) || words.contains("(pid ?)"), "{words}");
            assert!(output.status.success() || words.contains("another daemon has"), "{words}");
        }
        assert_eq!(world.run(&["local", "stop"]).out, "stopped\n");
        nothing_is_left(&world);
    }
}

#[test]
fn a_stop_during_a_start_leaves_a_daemon_or_none_and_no_half_of_one() {
    let world = World::new();
    for _ in 0..3 {
        let mut start = world.command(&["local", "start", "--sandbox", "filesystem"]);
        let mut start = start.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // As often as it goes while the start is under way: before the socket, at it, after it.
        let mut stopped = false;
        while start.try_wait().unwrap().is_none() {
            let said = world.run(&["local", "stop"]);
            stopped |= said.out.starts_with("stopped");
        }
        let ready = start.wait().unwrap().success();
        let running = world.run(&["local", "status"]).code == 0;
        assert!(!running || !stopped, "a stopped daemon runs");
        assert!(ready || !running, "a daemon that nobody was told of");
        let code = world.run(&["local", "stop"]).code;
        assert_eq!(code, 0);
        nothing_is_left(&world);
    }
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let world = World::new();
    // Not even root makes folders there.
    let said = world.run_with(&[("STIGMER_HOME", "/proc/stigmer")], &["local", "start", "--sandbox", "filesystem"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("could not make `/proc/stigmer`"), "{}", said.err);
    if rustix::process::geteuid().is_root() {
        println!("skipped: a_home_that_cannot_be_written_is_named (read-only folder): root may write everywhere");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let closed = world.home().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o500)).unwrap();
    let home = closed.join("state");
    let said =
        world.run_with(&[("STIGMER_HOME", home.to_str().unwrap())], &["local", "start", "--sandbox", "filesystem"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("closed/state") && said.err.contains("Permission denied"), "{}", said.err);
}

#[test]
fn a_home_whose_socket_would_have_too_long_a_path_is_named_and_the_longest_possible_works() {
    let world = World::new();
    let start = ["local", "start", "--sandbox", "filesystem"];
    // `…/daemon.sock` adds 12 bytes; 107 are possible.
    let of = |bytes: usize| {
        let home = world.home();
        home.join("x".repeat(bytes - home.as_os_str().len() - 1 - 12))
    };
    let long = of(108);
    let said = world.run_with(&[("STIGMER_HOME", long.to_str().unwrap())], &start);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("has 108 bytes; 107 are possible") && said.err.contains("STIGMER_HOME"), "{}", said.err);
    let longest = of(107);
    let home = [("STIGMER_HOME", longest.to_str().unwrap())];
    let said = world.run_with(&home, &start);
    assert_eq!((said.code, world.run_with(&home, &["local", "stop"]).code), (0, 0), "{}", said.err);
}
