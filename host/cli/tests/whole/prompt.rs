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

#[test]
fn a_typed_key_is_masked_and_arrives() {
    let world = World::new();
    let (master, slave) = terminal();
    let stdio = || Stdio::from(slave.try_clone().unwrap());
    // setsid makes the terminal on stdin the controlling one of the new session (util-linux, setsid(1)).
    let mut inner = std::process::Command::new("setsid");
    inner.args(["--ctty", "--wait", program().to_str().unwrap()]);
    inner.args(["local", "start", "--sandbox", "filesystem", "--provider", "anthropic"]);
    let template = world.command(&[]);
    inner.env_clear().envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
    inner.current_dir(world.work());
    let mut child = inner.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
    drop((inner, slave));
    let mut master = std::fs::File::from(master);
    let mut seen = String::new();
    let mut typed = false;
    let mut piece = [0; 4096];
    // EIO: every holder of the other end is gone.
    while let Ok(count @ 1..) = master.read(&mut piece) {
        seen.push_str(&String::from_utf8_lossy(&piece[..count]));
        if !typed && seen.contains("API key for anthropic") && seen.trim_end().ends_with(':') {
            typed = true;
            until_nothing_is_echoed(&master);
            master.write_all(format!("{KEY}\n").as_bytes()).unwrap();
        }
        if seen.contains("[y/N]") && !seen.contains("answered") {
            seen.push_str("answered");
            master.write_all(b"n\n").unwrap();
        }
    }
    println!("{seen}");
    assert!(child.wait().unwrap().success());
    assert!(typed && !seen.contains("canary"), "{seen}");
    let listed = world.run(&["secret", "list"]);
    assert_eq!(listed.out, "anthropic  (typed in)\n");
}
