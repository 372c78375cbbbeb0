//! The process that becomes a command: made before there is one, with every wall up, so that what is left to do when a
//! command comes is to take its three streams and to execute it.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use super::become_command::{become_command, raise};
use super::end_tree;
use super::{Context, ToStage, Work, step};
use crate::channel::{self, Channel};
use crate::descriptors;
use crate::fork::{Side, exit, fork};
use crate::jail::rlimits;
use crate::message::StartFailure;

/// From a zygote to its stage. The end of file after it is the start of the program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Said {
    /// It has its work, with this much time.
    Begun(Option<Duration>),
    /// It could not become the command.
    Failed(StartFailure),
}

/// A process that waits for its command, as the stage holds it.
pub(super) struct Zygote {
    /// A child of the stage.
    pub(super) pid: Pid,
    /// Carries [`Said`].
    pub(super) said: Channel,
}

impl Zygote {
    /// Makes one that takes its work from `init` itself: the stage must not read there before it has.
    ///
    /// # Errors
    /// When no process can be made or its Landlock domain cannot be built; everything later comes over its channel.
    pub(super) fn open(context: &Context<'_>, init: &Channel, init_pid: Pid) -> Result<Zygote, StartFailure> {
        // Here, where the stage's own `/proc` stands already.
        let domain = context.domain.ruleset(context.layers).map_err(|failure| super::setup(&failure))?;
        // Only the stage sees whom the limit on processes counts besides.
        let beside = rlimits::counted_beside(context.layers, || end_tree::descendants_of(init_pid));
        let (ours, theirs) = channel::pair().map_err(|error| step("make a channel to a command", &error))?;
        let stage = rustix::process::getpid();
        match fork(0).map_err(|error| step("make a process", &error))? {
            Side::Parent(pid) => Ok(Zygote { pid, said: ours }),
            Side::Child => run(context, init, &theirs, domain.as_ref(), stage, beside),
        }
    }
}

/// The zygote's life; what it owns is closed by number or by exec.
fn run(context: &Context<'_>, init: &Channel, said: &Channel, domain: Option<&OwnedFd>, stage: Pid, beside: u32) -> ! {
    // Above the numbers of the three streams, which it must outlive.
    let lifted = rustix::io::fcntl_dupfd_cloexec(said.fd(), 3).ok().and_then(|fd| Channel::from_fd(fd).ok());
    let Some(said) = lifted else { exit(127) };
    let keep: Vec<_> = [init.number(), said.number()].into_iter().chain(domain.map(AsRawFd::as_raw_fd)).collect();
    descriptors::keep_only(&keep);
    let failure = match start(context, init, &said, domain, stage, beside) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    // Nobody to tell: the stage is gone.
    let _ = said.send(&Said::Failed(failure), &[]);
    exit(127)
}

fn start(
    context: &Context<'_>,
    init: &Channel,
    said: &Channel,
    domain: Option<&OwnedFd>,
    stage: Pid,
    beside: u32,
) -> Result<std::convert::Infallible, StartFailure> {
    // Should stage and init be ended together, nobody is left below full level to end the command.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|errno| step("follow the stage's end", &errno.into()))?;
    if rustix::process::getppid() != Some(stage) {
        exit(127)
    }
    raise(context.layers, domain)?;
    // Never used: init is gone, or keeps no spare any more.
    let Some((work, stdio)) = given(init) else { exit(0) };
    let keep: Vec<_> = stdio.iter().map(AsRawFd::as_raw_fd).chain([said.number()]).collect();
    descriptors::keep_only(&keep);
    let timeout = match &work {
        Work::Command(spec) => spec.timeout,
        Work::Job(_) => None,
    };
    if said.send(&Said::Begun(timeout), &[]).is_err() {
        exit(127)
    }
    become_command(context, &work, stdio, said, beside)
}

/// Waits for work.
fn given(init: &Channel) -> Option<(Work, [OwnedFd; 3])> {
    match init.recv::<ToStage>() {
        Ok((ToStage::Begin(work), descriptors)) => Some((work, descriptors.try_into().ok()?)),
        Ok(_) | Err(_) => None,
    }
}
