//! The question for a key, on a terminal of its own: nothing of the key is shown, anywhere.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::termios::{LocalModes, tcgetattr};

use crate::world::{World, program};

const KEY: &str = "sk-canary-typed-42";
const QUESTION: &str = "API key for anthropic (Ctrl-D for none): ";
const START: [&str; 6] = ["local", "start", "--sandbox", "filesystem", "--provider", "anthropic"];

/// A terminal and the program on it.
struct Session {
    master: File,
    child: Child,
    /// All that a person would have seen.
    seen: String,
}

fn terminal() -> (OwnedFd, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let slave = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
    (master, slave)
}

impl Session {
    /// Starts `argv` on a terminal in whose input `early` waits already.
    fn start(world: &World, argv: &[&str], early: &str) -> Session {
        Session::start_with(world, &[], argv, early)
    }

    fn start_with(world: &World, variables: &[(&str, &str)], argv: &[&str], early: &str) -> Session {
        let (master, slave) = terminal();
        let mut master = File::from(master);
        master.write_all(early.as_bytes()).unwrap();
        let stdio = || Stdio::from(slave.try_clone().unwrap());
        // setsid makes the terminal on stdin the controlling one of the new session (util-linux, setsid(1)). It starts
        // no further process: the child is the program itself.
        let mut inner = Command::new("setsid");
        inner.arg("--ctty").args(argv);
        let template = world.command(&[]);
        inner.env_clear().envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
        inner.envs(variables.iter().copied()).current_dir(world.work());
        let child = inner.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        Session { master, child, seen: String::new() }
    }

    fn program(world: &World, early: &str) -> Session {
        let program = program();
        Session::start(world, &[&[program.to_str().unwrap()], START.as_slice()].concat(), early)
    }

    /// Reads until `mark` was seen `times`; false when the terminal is left before.
    fn until(&mut self, mark: &str, times: usize) -> bool {
        let mut piece = [0; 4096];
        while self.seen.matches(mark).count() < times {
            // EIO: every holder of the other end is gone.
            let Ok(count @ 1..) = self.master.read(&mut piece) else { return false };
            self.seen.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        true
    }

    fn types(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.master).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    fn ends(mut self) -> (ExitStatus, String) {
        // Offered only where a keyring works.
        if self.until("[y/N]", 1) {
            self.types("n\n");
        }
        self.left()
    }

    /// Waits until nobody is on the terminal any more.
    fn left(mut self) -> (ExitStatus, String) {
        self.until("\0 is never printed", 1);
        println!("{}", self.seen);
        (self.child.wait().unwrap(), self.seen)
    }
}

#[test]
fn a_key_pasted_the_moment_the_question_stands_there_is_masked_and_arrives() {
    let world = World::new();
    let mut session = Session::program(&world, "");
    assert!(session.until(QUESTION, 1));
    session.types(&format!("{KEY}\n"));
    let (status, seen) = session.ends();
    assert!(status.success());
    assert!(!seen.contains("canary") && seen.contains(&"*".repeat(KEY.len())), "{seen}");
    assert_eq!(world.run(&["secret", "list"]).out, "anthropic  (typed in)\n");
}

#[test]
fn a_paste_that_waited_before_the_question_is_said_and_not_taken() {
    let world = World::new();
    let mut session = Session::program(&world, "sk-early\n");
    assert!(session.until(QUESTION, 1), "{}", session.seen);
    assert!(session.seen.contains("typed before the question was shown, and is not taken"), "{}", session.seen);
    let before = session.seen.len();
    session.types(&format!("{KEY}\n"));
    let (status, seen) = session.ends();
    assert!(status.success());
    let after = &seen[before..];
    assert!(!after.contains("canary") && !after.contains("early"), "{seen}");
    assert!(after.contains(&"*".repeat(KEY.len())), "{seen}");
}

#[test]
fn a_signal_at_the_question_leaves_the_echo_on() {
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let world = World::new();
        let mut session = Session::program(&world, "");
        assert!(session.until(QUESTION, 1));
        assert!(!session.echoes());
        session.types("half");
        assert!(session.until("****", 1));
        if signal == rustix::process::Signal::INT {
            session.types("\u{3}");
        } else {
            let pid = rustix::process::Pid::from_raw(i32::try_from(session.child.id()).unwrap()).unwrap();
            rustix::process::kill_process(pid, signal).unwrap();
        }
        let status = session.child.wait().unwrap();
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status:?}");
        assert!(session.echoes());
        assert!(!world.stigmer_home().join("daemon.sock").exists());
    }
}

#[test]
fn a_stop_at_the_question_shows_what_is_typed_and_asks_again() {
    if !std::path::Path::new("/bin/bash").exists() {
        println!("skipped: a_stop_at_the_question_shows_what_is_typed_and_asks_again: no bash");
        return;
    }
    let world = World::new();
    let script = format!("'{}' {}; stty -a; fg; echo code $?", program().display(), START.join(" "));
    let mut session = Session::start(&world, &["/bin/bash", "-mc", &script], "");
    assert!(session.until(QUESTION, 1));
    session.types("sk-half\u{1a}");
    assert!(session.until(QUESTION, 2), "{}", session.seen);
    let modes: Vec<_> = session.seen.split_whitespace().collect();
    assert!(modes.contains(&"echo") && !modes.contains(&"-echo"), "{}", session.seen);
    session.types(&format!("{KEY}\n"));
    let (_, seen) = session.ends();
    assert!(seen.contains("code 0") && !seen.contains("canary"), "{seen}");
    assert_eq!(world.run(&["secret", "list"]).out, "anthropic  (typed in)\n");
}

#[test]
fn a_question_is_answered_here_or_from_elsewhere_while_it_stands() {
    let world = World::new();
    world.start();
    for here in [true, false] {
        let script = world.write("asks.toml", &crate::parked::script(crate::parked::RAN));
        let model = format!("script:{}", script.display());
        let program = program();
        let run = [program.to_str().unwrap(), "run", "-m", "count", "--model", &model];
        let mut session = Session::start(&world, &run, "");
        assert!(session.until("Run `/bin/sh -c \"echo ran >> ran.txt\"`? [y/N] ", 1), "{}", session.seen);
        if here {
            session.types("y\n");
        } else {
            // Nobody types here any more, and the run goes on all the same.
            let newest = crate::parked::until_it_waits(&world);
            assert_eq!(world.run(&["execution", "approve", &newest]).code, 0);
        }
        let (status, seen) = session.left();
        assert!(status.success(), "{seen}");
        assert!(seen.contains("approved") && seen.contains("Over."), "{seen}");
    }
    assert_eq!(std::fs::read_to_string(world.work().join("ran.txt")).unwrap(), "ran\nran\n");
}

#[test]
fn whoever_names_no_provider_and_types_a_key_has_both_from_then_on() {
    let world = World::new();
    let program = program();
    let program = program.to_str().unwrap();
    // Nothing listens at port 9 (discard): no Ollama of this machine takes part.
    let nowhere = ("OLLAMA_BASE_URL", "http://127.0.0.1:9");
    let start = [program, "local", "start", "--sandbox", "filesystem"];
    let mut session = Session::start_with(&world, &[nowhere], &start, "");
    assert!(session.until(QUESTION, 1), "{}", session.seen);
    session.types(&format!("{KEY}\n"));
    let (status, seen) = session.ends();
    assert!(status.success(), "{seen}");
    assert!(seen.contains("provider   anthropic") && seen.contains("key        typed in"), "{seen}");
    assert!(!seen.contains("canary"), "{seen}");
    // A run in a shell that knows of neither: the provider refuses the key, and it is said whence that came.
    let server = crate::refusing::Refusing::start();
    let url = server.url();
    let variables = [("ANTHROPIC_BASE_URL", url.as_str()), nowhere];
    let said = world.run_with(&variables, &["run", "-m", "hello"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("anthropic claude-sonnet-4-5"), "{}", said.err);
    let says = "`anthropic` (model `claude-sonnet-4-5`) answered with status 401: invalid x-api-key; the key's origin: \
                typed in; ";
    assert!(said.err.contains(says), "{}", said.err);
    assert_eq!(server.keys(), [KEY]);
}
