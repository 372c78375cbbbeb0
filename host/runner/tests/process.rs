//! The runner as a process: what it takes over, what it gives up before it reads, how it ends.

#![expect(clippy::disallowed_methods, reason = "tests start the process and look at it from outside")]

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use stigmer_sandbox::channel::{self, Channel};

/// What every HTTP/2 client says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct Process {
    child: Child,
    rpc: UnixStream,
    _init: Channel,
}

/// Starts it with its two channels under their numbers, which a shell gives them: `redirect` places stdin and stdout.
fn start(level: &str, redirect: &str) -> Process {
    let (ours, rpc) = UnixStream::pair().unwrap();
    let (init, work) = channel::pair().unwrap();
    let child = Command::new("/bin/sh")
        .args(["-c", &format!("exec \"$0\" agent-runner {level} {redirect} </dev/null >/dev/null 2>&1")])
        .arg(program())
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(rpc)))
        .stdout(Stdio::from(work.into_fd()))
        .spawn()
        .unwrap();
    Process { child, rpc: ours, _init: init }
}

/// Where it lies now: the variable is set again where the tests run as a copy.
fn program() -> OsString {
    std::env::var_os("CARGO_BIN_EXE_agent-runner").unwrap_or_else(|| env!("CARGO_BIN_EXE_agent-runner").into())
}

const BOTH: &str = "3<&0 4<&1";

/// `Seccomp` of each thread (proc(5)): 2 is a filter.
fn filters(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let status = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let word =
        |status: String| status.lines().find_map(|line| line.strip_prefix("Seccomp:").map(|it| it.trim().to_owned()));
    status.map(|status| word(status).unwrap()).collect()
}

#[test]
fn it_is_filtered_in_every_thread_before_it_says_a_word_and_ends_with_its_stream() {
    for (level, filter) in [("full", "2"), ("base", "2"), ("filesystem", "0")] {
        let mut process = start(level, BOTH);
        let mut said = vec![0; PREFACE.len()];
        process.rpc.read_exact(&mut said).unwrap();
        assert_eq!(said, PREFACE);
        let filters = filters(process.child.id());
        // The main thread, two that poll, one that listens to init.
        assert!(filters.len() >= 4 && filters.iter().all(|it| it == filter), "{level}: {filters:?}");
        drop(process.rpc);
        assert_eq!(process.child.wait().unwrap().code(), Some(4), "{level}");
    }
}

#[test]
fn a_process_that_init_did_not_start_as_a_runner_ends_at_once_and_says_nothing() {
    for (level, redirect) in [
        ("half", BOTH),
        ("''", BOTH),
        ("full", "3<&0"),
        ("full", "4<&1"),
        ("full", "3<&1 4<&0"),
        ("full", "3</dev/null 4<&1"),
    ] {
        let mut process = start(level, redirect);
        assert_eq!(process.child.wait().unwrap().code(), Some(3), "{level} {redirect}");
        let mut said = Vec::new();
        // A reset is an end, too: the other side left without reading.
        let _ = process.rpc.read_to_end(&mut said);
        assert!(said.is_empty(), "{level} {redirect}: {said:?}");
    }
}
