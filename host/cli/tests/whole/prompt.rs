//! The question for a key, on a terminal of its own: nothing of the key is shown, anywhere.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use crate::world::{World, program};

const KEY: &str = "sk-canary-typed-42";

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

/// The question may be read a moment before the terminal is made quiet; a person takes longer to type.
fn until_nothing_is_echoed(terminal: &std::fs::File) {
    let start = std::time::Instant::now();
    let echoes = || {
        let modes = rustix::termios::tcgetattr(terminal).unwrap().local_modes;
        modes.contains(rustix::termios::LocalModes::ECHO)
    };
    while echoes() {
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "the terminal still echoes");
        std::thread::yield_now();
    }
}

/// The program on a terminal of its own.
fn on_a_terminal(world: &World, slave: OwnedFd, arguments: &[&str]) -> std::process::Child {
    let stdio = || Stdio::from(slave.try_clone().unwrap());
    // setsid makes the terminal on stdin the controlling one of the new session (util-linux, setsid(1)).
    let mut inner = std::process::Command::new("setsid");
    inner.args(["--ctty", "--wait", program().to_str().unwrap()]).args(arguments);
    let template = world.command(&[]);
    inner.env_clear().envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
    inner.current_dir(world.work());
    inner.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap()
}

/// Reads until the program is gone; `act` is told all that was seen so far.
fn watch(master: &mut std::fs::File, mut act: impl FnMut(&str, &mut std::fs::File)) -> String {
    let mut seen = String::new();
    let mut piece = [0; 4096];
    // EIO: every holder of the other end is gone.
    while let Ok(count @ 1..) = master.read(&mut piece) {
        seen.push_str(&String::from_utf8_lossy(&piece[..count]));
        act(&seen, master);
    }
    println!("{seen}");
    seen
}

#[test]
fn a_question_is_answered_here_or_from_elsewhere_while_it_stands() {
    let world = World::new();
    world.start();
    for here in [true, false] {
        let script = world.write("asks.toml", &crate::parked::script(crate::parked::RAN));
        let model = format!("script:{}", script.display());
        let (master, slave) = terminal();
        let mut child = on_a_terminal(&world, slave, &["run", "-m", "count", "--model", &model]);
        let mut answered = false;
        let seen = watch(&mut std::fs::File::from(master), |seen, master| {
            if !answered && seen.contains("Run `/bin/sh -c \"echo ran >> ran.txt\"`? [y/N] ") {
                answered = true;
                if here {
                    master.write_all(b"y\n").unwrap();
                } else {
                    // Nobody types here any more, and the run goes on all the same.
                    let newest = crate::parked::until_it_waits(&world);
                    assert_eq!(world.run(&["execution", "approve", &newest]).code, 0);
                }
            }
        });
        assert!(child.wait().unwrap().success(), "{seen}");
        assert!(answered && seen.contains("approved") && seen.contains("Over."), "{seen}");
    }
    assert_eq!(std::fs::read_to_string(world.work().join("ran.txt")).unwrap(), "ran\nran\n");
}

#[test]
fn a_typed_key_is_masked_and_arrives() {
    let world = World::new();
    let (master, slave) = terminal();
    let arguments = ["local", "start", "--sandbox", "filesystem", "--provider", "anthropic"];
    let mut child = on_a_terminal(&world, slave, &arguments);
    let (mut typed, mut answered) = (false, false);
    let seen = watch(&mut std::fs::File::from(master), |seen, master| {
        if !typed && seen.contains("API key for anthropic") && seen.trim_end().ends_with(':') {
            typed = true;
            until_nothing_is_echoed(master);
            master.write_all(format!("{KEY}\n").as_bytes()).unwrap();
        }
        if !answered && seen.contains("[y/N]") {
            answered = true;
            master.write_all(b"n\n").unwrap();
        }
    });
    assert!(child.wait().unwrap().success());
    assert!(typed && !seen.contains("canary"), "{seen}");
    let listed = world.run(&["secret", "list"]);
    assert_eq!(listed.out, "anthropic  (typed in)\n");
}
