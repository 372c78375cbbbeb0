//! Running the probes: in a helper process with a terminal of its own, so that nothing of the caller's is aimed at.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use rustix::pty::OpenptFlags;
use serde::{Deserialize, Serialize};
use stigmer_policy::{Layer, Level};

use super::attempt::reap;
use super::proof::{Proof, Raw};
use super::trial;
use crate::descriptors;
use crate::fork::{Side, exit, fork, is_single_threaded};
use crate::message::SetupFailure;
use crate::prepare::{Claim, Person};
use crate::signals;

/// A jail to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Its level.
    pub level: Level,
    /// Layers to leave out; empty but in the test of the probes themselves.
    pub left_out: Vec<Layer>,
}

impl Trial {
    /// A whole jail of `level`.
    #[must_use]
    pub fn of(level: Level) -> Trial {
        Trial { level, left_out: Vec::new() }
    }
}

/// Why nothing could be probed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The caller has more than one thread: it cannot clone itself.
    #[error("a process with threads cannot run the probes")]
    Threads,
    /// The helper process could not be made or spoken with.
    #[error("could not start the process that runs the probes")]
    Helper(#[source] std::io::Error),
    /// It could not make its witnesses, or ended early.
    #[error("the probes could not be run: {0}")]
    Failed(String),
}

/// What the helper found.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    controls: Vec<Raw>,
    trials: Vec<Tested>,
}

/// One trial, as the helper tells of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Tested {
    /// The jail stood.
    Ran(Vec<Raw>),
    /// It could not be made.
    NotBuilt(SetupFailure),
}

/// Runs every act at each trial's level. `folder` must exist, belong to the caller, and lie in no folder that jails are
/// granted; what is made in it is removed again.
///
/// A trial whose jail cannot be made here is answered with the step that failed: what `level` lacks on this machine.
///
/// # Errors
/// [`ProbeError`]: nothing is proved then.
pub fn prove(person: &Person, folder: &Path, trials: &[Trial]) -> Result<Vec<Result<Proof, SetupFailure>>, ProbeError> {
    if !is_single_threaded() {
        return Err(ProbeError::Threads);
    }
    let (read, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|errno| ProbeError::Helper(errno.into()))?;
    match fork(0).map_err(ProbeError::Helper)? {
        Side::Child => {
            drop(read);
            help(person, folder, trials, &write)
        }
        Side::Parent(pid) => {
            drop(write);
            let mut bytes = Vec::new();
            let told = std::fs::File::from(read).read_to_end(&mut bytes);
            let signal = reap(pid).map_err(ProbeError::Helper)?;
            told.map_err(ProbeError::Helper)?;
            let answer: Result<Answer, String> = postcard::from_bytes(&bytes).map_err(|_| {
                ProbeError::Failed(format!("their process ended without an answer (signal {signal:?})"))
            })?;
            let Answer { controls, trials: tested } = answer.map_err(ProbeError::Failed)?;
            let root = rustix::process::geteuid().is_root();
            Ok(trials
                .iter()
                .zip(tested)
                .map(|(trial, tested)| match tested {
                    Tested::Ran(raws) => Ok(Proof::new(trial.level, root, &trial.left_out, &controls, raws)),
                    Tested::NotBuilt(failure) => Err(failure),
                })
                .collect())
        }
    }
}

/// What all trials share.
pub(super) struct Ground {
    /// Where witnesses are made.
    pub(super) folder: PathBuf,
    /// The person, with a state folder below `folder`.
    pub(super) person: Person,
    /// Other end of the terminal on stdin.
    _terminal: Option<OwnedFd>,
}

fn help(person: &Person, folder: &Path, trials: &[Trial], answer: &OwnedFd) -> ! {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // The terminal's end is this process's own doing.
    signals::block(&[libc::SIGHUP]);
    let told = std::panic::catch_unwind(|| work(person, folder, trials))
        .unwrap_or_else(|_| Err("their process failed".to_owned()));
    if let Ok(bytes) = postcard::to_stdvec(&told) {
        let mut rest = bytes.as_slice();
        while let Ok(written @ 1..) = rustix::io::write(answer, rest) {
            rest = &rest[written..];
        }
    }
    exit(0)
}

fn work(person: &Person, folder: &Path, trials: &[Trial]) -> Result<Answer, String> {
    let words = |error: std::io::Error| error.to_string();
    let folder = folder.join(format!("probe-{}", rustix::process::getpid()));
    let _claim = Claim::make(&folder).map_err(|error| format!("could not make `{}`: {error}", folder.display()))?;
    let person = Person { stigmer_home: folder.join("state"), ..person.clone() };
    let ground = Ground { person, _terminal: terminal_on_stdin().map_err(words)?, folder };
    let outcome = (|| {
        let controls = trial::control(&ground).map_err(words)?;
        let numbered = trials.iter().enumerate();
        let trials = numbered.map(|(number, trial)| trial::run(&ground, number, trial)).collect::<Result<_, _>>()?;
        Ok(Answer { controls, trials })
    })();
    remove(&ground.folder);
    outcome
}

#[expect(clippy::disallowed_methods, reason = "the folder that was made for this run")]
fn remove(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
}

/// Makes a terminal the controlling one of this process, in a session of its own, and its stdin. `None` where the machine
/// has no pseudo-terminals: stdin leads nowhere then.
fn terminal_on_stdin() -> std::io::Result<Option<OwnedFd>> {
    rustix::process::setsid()?;
    let pair = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).and_then(|ours| {
        rustix::pty::grantpt(&ours)?;
        rustix::pty::unlockpt(&ours)?;
        let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        rustix::process::ioctl_tiocsctty(&theirs)?;
        Ok((ours, theirs))
    });
    match pair {
        Ok((ours, theirs)) => {
            descriptors::place(&theirs, 0)?;
            // Number 0 stays; a copy that was placed there must not close it.
            if std::os::fd::AsRawFd::as_raw_fd(&theirs) == 0 {
                std::mem::forget(theirs);
            }
            Ok(Some(ours))
        }
        Err(_) => {
            let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())?;
            descriptors::place(&null, 0)?;
            Ok(None)
        }
    }
}
