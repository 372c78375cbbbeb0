//! Commands that outlived everyone who knew them.
//!
//! Below full level no kernel object holds a command's tree together: init and stages know it, and when they are killed at
//! one moment, children that left their parent live on inside their walls. They are found by what they were started with,
//! the home and scratch of their own execution.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Looks before giving up on processes that start others faster than they are found.
const ROUNDS: usize = 64;
/// Time for one killed process to be gone.
const GONE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// Bytes of an environment that are looked at; ours are a fraction of it.
const ENVIRONMENT: u64 = 1 << 20;

/// Ends every process of this user whose environment names the `home` or `tmp` in `folder`, which nobody but a command of
/// that execution was ever given. One that changed its environment is not found.
pub(super) fn end(folder: &Path) {
    let marks = [mark(b"HOME=", &folder.join("home")), mark(b"TMPDIR=", &folder.join("tmp"))];
    for _ in 0..ROUNDS {
        let found = processes().filter(|pid| is_left(*pid, &marks));
        // A number can become another process's between two looks; a descriptor cannot, so the look is taken again.
        let held: Vec<OwnedFd> = found
            .filter_map(|pid| {
                let held = pidfd_open(pid, PidfdFlags::empty()).ok()?;
                is_left(pid, &marks).then_some(held)
            })
            .collect();
        if held.is_empty() {
            return;
        }
        for process in &held {
            // ESRCH: it ended by itself.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        for process in &held {
            let _ = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&GONE));
        }
    }
}

fn mark(name: &[u8], path: &Path) -> Vec<u8> {
    [name, path.as_os_str().as_bytes()].concat()
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

#[expect(clippy::disallowed_methods, reason = "/proc as the person sees it")]
fn is_left(pid: Pid, marks: &[Vec<u8>]) -> bool {
    let number = pid.as_raw_nonzero();
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = fs::File::open(format!("/proc/{number}/environ"))?;
        io::Read::read_to_end(&mut io::Read::take(file, ENVIRONMENT), &mut bytes)?;
        Ok(bytes)
    };
    // Unreadable: another user's, or gone.
    read().is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|pair| marks.iter().any(|mark| mark == pair)))
}
