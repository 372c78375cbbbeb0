//! Running one piece of work, in a jail or plainly, and reading what it prints.

use std::ffi::{CString, OsStr};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::descriptors;
use crate::fork::{Side, exit, fork};
use crate::message::{self, CallId, CommandSpec, FromInit, Job, StartFailure};
use crate::probe::act::{Barred, Tried};
use crate::probe::attempt::{readable, reap};
use crate::probe::job::{Answers, leave_behind};
use crate::start::Jail;

/// Longest time for all acts of one jail; each has its own, shorter one.
const TIME: Duration = Duration::from_secs(60);
/// Most bytes that are read of what a piece of work prints.
const MAX_OUTPUT: usize = 1 << 20;
/// A jail does one thing at a time here.
const CALL: CallId = 1;

/// What to run in a jail.
enum Work {
    Job(Job),
    Command(CommandSpec),
}

/// What it came to.
struct Ran {
    output: Vec<u8>,
    /// Nobody holds its stdout any more.
    closed: bool,
    ended: message::Ended,
}

enum Failed {
    NotStarted(StartFailure),
    Words(String),
}

impl Failed {
    fn words(self) -> String {
        match self {
            Failed::NotStarted(failure) => failure.to_string(),
            Failed::Words(words) => words,
        }
    }
}

/// Works through the acts in `jail`, with the terminal of this process as stdin.
pub(super) fn acts(jail: &Jail, job: Job) -> Result<Answers, String> {
    let ran = run(jail, Work::Job(job), std::io::stdin().as_fd()).map_err(Failed::words)?;
    postcard::from_bytes(&ran.output).map_err(|_| format!("the acts gave no answer ({:?})", ran.ended))
}

/// Leaves a process behind in `jail`: done when it still lives after its command has ended.
pub(super) fn survivor(jail: &Jail, job: Job) -> Tried {
    let outcome = (|| {
        let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| errno.to_string())?;
        let ran = run(jail, Work::Job(job), theirs.as_fd()).map_err(Failed::words)?;
        // Lets a survivor go.
        drop(ours);
        if ran.ended == message::Ended::Code(0) { Ok(ran.closed) } else { Err(format!("{:?}", ran.ended)) }
    })();
    match outcome {
        Ok(true) => Tried::Barred(Barred::Elsewhere("it was gone when the command had ended".to_owned())),
        Ok(false) => Tried::Done,
        Err(words) => Tried::Broken(words),
    }
}

/// Prints the environment of a command in `jail`: done when `canary` is in it.
pub(super) fn environment(jail: &Jail, spec: CommandSpec, canary: &str) -> Tried {
    let Ok(null) = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty()) else {
        return Tried::Broken("no /dev/null".to_owned());
    };
    match run(jail, Work::Command(spec), null.as_fd()) {
        Ok(ran) if ran.output.is_empty() => Tried::Broken(format!("nothing was printed ({:?})", ran.ended)),
        Ok(ran) => printed(&ran.output, canary),
        Err(Failed::NotStarted(StartFailure::NotFound(_))) => {
            Tried::Barred(Barred::Absent("no program that prints its environment".to_owned()))
        }
        Err(failed) => Tried::Broken(failed.words()),
    }
}

fn printed(output: &[u8], canary: &str) -> Tried {
    if output.windows(canary.len()).any(|window| window == canary.as_bytes()) {
        Tried::Done
    } else {
        Tried::Barred(Barred::Elsewhere("the variable is not there".to_owned()))
    }
}

fn run(jail: &Jail, work: Work, stdin: std::os::fd::BorrowedFd<'_>) -> Result<Ran, Failed> {
    let words = |error: &dyn std::fmt::Display| Failed::Words(error.to_string());
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| words(&errno))?;
    let stdio = [stdin, write.as_fd(), write.as_fd()];
    let sent = match work {
        Work::Job(job) => jail.job(CALL, job, stdio),
        Work::Command(spec) => jail.command(CALL, spec, stdio),
    };
    sent.map_err(|error| words(&error))?;
    drop(write);
    let deadline = Instant::now() + TIME;
    let mut ran = Ran { output: Vec::new(), closed: false, ended: message::Ended::Lost };
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout =
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(1), tv_nsec: left.subsec_nanos().into() };
        let mut fds = vec![PollFd::from_borrowed_fd(jail.control(), PollFlags::IN)];
        if !ran.closed {
            fds.push(PollFd::new(&read, PollFlags::IN));
        }
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => {
                jail.kill_init();
                return Err(Failed::Words("the jail did not answer in time".to_owned()));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(words(&errno)),
        }
        let (said, printed) = (!fds[0].revents().is_empty(), fds.get(1).is_some_and(|fd| !fd.revents().is_empty()));
        if printed {
            ran.take(&read).map_err(|error| words(&error))?;
        }
        if said {
            match jail.next().map_err(|error| words(&error))? {
                FromInit::Ended(CALL, report) => {
                    ran.ended = report.ended;
                    // What it printed last is still in the pipe; a survivor would keep the pipe open.
                    while !ran.closed && readable(&read, Duration::ZERO).map_err(|error| words(&error))? {
                        ran.take(&read).map_err(|error| words(&error))?;
                    }
                    return Ok(ran);
                }
                FromInit::NotStarted(CALL, failure) => return Err(Failed::NotStarted(failure)),
                _ => {}
            }
        }
    }
}

impl Ran {
    fn take(&mut self, from: &OwnedFd) -> std::io::Result<()> {
        let mut buffer = [0u8; 16 << 10];
        let bytes = rustix::io::read(from, &mut buffer)?;
        self.closed = bytes == 0;
        if self.output.len() + bytes > MAX_OUTPUT {
            return Err(std::io::Error::other("it printed too much"));
        }
        self.output.extend_from_slice(&buffer[..bytes]);
        Ok(())
    }
}

/// The same without a jail: done when the process that was left behind still lives after its starter.
pub(super) fn survivor_outside() -> Tried {
    let outcome = (|| {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        match fork(0)? {
            Side::Child => {
                drop((read, ours));
                let placed = descriptors::place(&theirs, 0).and_then(|()| descriptors::place(&write, 1));
                exit(i32::from(placed.and_then(|()| leave_behind()).is_err()))
            }
            Side::Parent(pid) => {
                drop((write, theirs));
                reap(pid)?;
                // Closed at once when nobody holds it.
                let gone = readable(&read, Duration::ZERO)?;
                drop(ours);
                let mut rest = Vec::new();
                std::fs::File::from(read).read_to_end(&mut rest)?;
                Ok::<_, std::io::Error>(gone)
            }
        }
    })();
    match outcome {
        Ok(false) => Tried::Done,
        Ok(true) => Tried::Barred(Barred::Elsewhere("it ended with its starter".to_owned())),
        Err(error) => Tried::Broken(error.to_string()),
    }
}

/// The same without a jail: the variable is given as a careless caller would.
pub(super) fn environment_outside(name: &str, canary: &OsStr) -> Tried {
    let outcome = (|| {
        let pair = CString::new([name.as_bytes(), b"=", canary.as_bytes()].concat())?;
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        match fork(0)? {
            Side::Child => {
                drop(read);
                let _ = descriptors::place(&write, 1);
                let argv = [c"env".as_ptr(), std::ptr::null()];
                let env = [pair.as_ptr(), std::ptr::null()];
                for program in [c"/usr/bin/env", c"/bin/env"] {
                    // SAFETY: all texts are NUL-terminated, both lists end with null, and all outlive the call, which
                    // returns only on failure.
                    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
                }
                exit(127)
            }
            Side::Parent(pid) => {
                drop(write);
                let mut output = Vec::new();
                std::fs::File::from(read).take(MAX_OUTPUT as u64).read_to_end(&mut output)?;
                reap(pid)?;
                Ok::<_, std::io::Error>(output)
            }
        }
    })();
    match outcome {
        Ok(output) => printed(&output, &canary.to_string_lossy()),
        Err(error) => Tried::Broken(error.to_string()),
    }
}
