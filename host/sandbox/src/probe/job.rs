//! The halves of the probes that run inside: jobs of a confined process.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use stigmer_policy::Policy;

use super::act::{How, Tried};
use super::acts::all;
use super::attempt::{TIME, attempt, reap};
use super::scene::Scene;
use crate::fork::{Side, exit, fork};
use crate::init::JobTable;

/// For the table that is given to [`crate::init::run`] or [`crate::start::Launch::Clone`].
pub const JOBS: JobTable = &[(ACTS, acts), (SURVIVE, survive)];

/// Works through the acts: the scene as JSON, then [`PLAIN`] or [`BOUNDED`]. Answers with [`Answers`] on stdout.
pub(crate) const ACTS: &str = "probe-acts";
/// Leaves a process behind.
pub(crate) const SURVIVE: &str = "probe-survive";
/// Acts for ordinary limits.
pub(crate) const PLAIN: &str = "plain";
/// Acts for small limits.
pub(crate) const BOUNDED: &str = "bounded";

/// What came of each act that was tried, by its place in the table.
pub(crate) type Answers = Vec<(u16, Tried)>;

/// Exit code of a job that was started wrongly.
const MISUSED: i32 = 2;

fn acts(_: &Policy, arguments: &[OsString]) -> i32 {
    let [scene, kind] = arguments else { return MISUSED };
    let Ok(scene) = serde_json::from_slice::<Scene>(scene.as_bytes()) else { return MISUSED };
    let answers = try_all(&scene, kind == BOUNDED);
    let Ok(bytes) = postcard::to_stdvec(&answers) else { return MISUSED };
    i32::from(std::io::stdout().write_all(&bytes).and_then(|()| std::io::stdout().flush()).is_err())
}

/// Tries every act of one kind, one after the other.
pub(crate) fn try_all(scene: &Scene, bounded: bool) -> Answers {
    // An act that aims at a process of the host may hit a namesake in here; that must not end the work.
    for signal in [libc::SIGUSR1, libc::SIGUSR2] {
        // SAFETY: SIG_IGN is a valid action for both.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    let mut answers = Answers::new();
    for (index, act) in (0..).zip(all()) {
        match act.how {
            How::Plain(run) if !bounded => answers.push((index, attempt(run, scene))),
            How::Bounded(run) if bounded => answers.push((index, attempt(run, scene))),
            _ => {}
        }
    }
    answers
}

fn survive(_: &Policy, _: &[OsString]) -> i32 {
    i32::from(leave_behind().is_err())
}

/// Leaves a process behind that holds stdout until stdin is closed, at the longest for [`TIME`]. It exists, in a session
/// of its own and with another parent, when this returns.
pub(crate) fn leave_behind() -> std::io::Result<()> {
    match fork(0)? {
        Side::Child => {
            let _ = rustix::process::setsid();
            if let Ok(Side::Child) = fork(0) {
                crate::signals::block_all();
                let stdin = std::io::stdin();
                let timeout = Timespec { tv_sec: i64::try_from(TIME.as_secs()).unwrap_or(1), tv_nsec: 0 };
                let _ = poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&timeout));
            }
            exit(0)
        }
        Side::Parent(pid) => reap(pid).map(|_| ()),
    }
}
