//! Trying one act in a process of its own, within bounded time.

use std::io::Read;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions};

use super::act::{Attempt, Tried};
use super::scene::Scene;
use crate::fork::{Side, exit, fork};

/// Longest time for one act: what is refused is refused at once.
pub(crate) const TIME: Duration = Duration::from_secs(2);
/// Largest answer of one act, in bytes.
const MAX_ANSWER: u64 = 4 << 10;

/// Tries `act` in a child and waits for it. The child is gone when this returns.
pub(crate) fn attempt(act: fn(&Scene) -> Attempt, scene: &Scene) -> Tried {
    match try_it(act, scene) {
        Ok(tried) => tried,
        Err(error) => Tried::Broken(error.to_string()),
    }
}

fn try_it(act: fn(&Scene) -> Attempt, scene: &Scene) -> std::io::Result<Tried> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    match fork(0)? {
        Side::Child => {
            drop(read);
            // An act may end its own process; that is an answer, too, and the default action must give it.
            let answer = match act(scene) {
                Ok(()) => Tried::Done,
                Err(barred) => Tried::Barred(barred),
            };
            if let Ok(bytes) = postcard::to_stdvec(&answer) {
                let _ = rustix::io::write(&write, &bytes);
            }
            exit(0)
        }
        Side::Parent(pid) => {
            drop(write);
            let in_time = readable(&read, TIME)?;
            if !in_time {
                // A child of ours that is not yet reaped: the id is still its own.
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            let signal = reap(pid)?;
            if !in_time {
                return Ok(Tried::Overdue);
            }
            let mut answer = Vec::new();
            std::fs::File::from(read).take(MAX_ANSWER).read_to_end(&mut answer)?;
            Ok(match (postcard::from_bytes(&answer), signal) {
                (Ok(tried), _) => tried,
                (Err(_), Some(signal)) => Tried::Killed(signal),
                (Err(_), None) => Tried::Broken("its process ended without an answer".to_owned()),
            })
        }
    }
}

/// Waits until something can be read from `fd`, or it is closed at the other end; false when `time` is up first.
pub(crate) fn readable(fd: &impl AsFd, time: Duration) -> std::io::Result<bool> {
    let deadline = Instant::now() + time;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout =
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Waits for a child; the signal that ended it, if one did.
pub(crate) fn reap(pid: Pid) -> std::io::Result<Option<i32>> {
    loop {
        match rustix::process::waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status.terminating_signal()),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
