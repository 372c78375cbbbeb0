//! One command and the stage that watches it.
//!
//! Init forks a stage per command, before there is one where another is likely to follow. The stage makes the process that
//! becomes the command, with every wall up, keeps its deadline, and when the command ends, its time
//! is up, it is told to, or init is gone, it ends the whole tree and only then reports. At full level the stage is the
//! first process of the command's own pid namespace; at base it stands in a Landlock domain that the command cannot
//! signal out of; at `filesystem` it can only walk the tree.

mod become_command;
mod end_tree;
mod watch;
mod zygote;

use std::os::fd::{AsFd, OwnedFd};

use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use stigmer_policy::{Layer, Level};

use crate::channel::{self, Channel, ChannelError};
use crate::descriptors;
use crate::fork::{Side, fork};
use crate::init::JobTable;
use crate::jail::layers::Layers;
use crate::jail::plan::Plan;
use crate::jail::{capabilities, landlock, mounts, rlimits};
use crate::message::{CommandSpec, Job, StartFailure};
use crate::seccomp;

/// What a stage starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Work {
    /// A program.
    Command(CommandSpec),
    /// Our own code, in a process confined like a command.
    Job(Job),
}

/// A running stage, as init holds it.
pub(crate) struct Stage {
    /// The stage's process, a child of init.
    pub(crate) pid: Pid,
    /// Carries [`watch::ToStage`] and [`watch::FromStage`]; its end of file ends the tree.
    pub(crate) channel: Channel,
}

pub(crate) use end_tree::children_of_self;
pub(crate) use watch::{FromStage, ToStage};

impl Stage {
    /// Gives the stage its work. What becomes of it comes over the channel.
    ///
    /// # Errors
    /// When a descriptor must not enter the jail, or the stage is gone.
    pub(crate) fn begin(&self, work: &Work, stdio: &[OwnedFd; 3]) -> Result<(), ChannelError> {
        let descriptors: Vec<_> = stdio.iter().map(AsFd::as_fd).collect();
        self.channel.send(&ToStage::Begin(work.clone()), &descriptors)
    }
}

/// Refuses descriptors that must not enter the jail.
///
/// # Errors
/// [`StartFailure::Descriptor`], naming the stream.
pub(crate) fn check_descriptors(stdio: &[OwnedFd; 3]) -> Result<(), StartFailure> {
    for (fd, stream) in stdio.iter().zip(["stdin", "stdout", "stderr"]) {
        if let Some(what) = descriptors::refused(fd.as_fd()) {
            return Err(StartFailure::Descriptor { stream: stream.to_owned(), what: what.to_owned() });
        }
    }
    Ok(())
}

/// What all stages of an execution share.
pub(crate) struct Context<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) layers: &'a Layers,
    pub(crate) jobs: JobTable,
    pub(crate) domain: landlock::Prepared,
}

impl Context<'_> {
    /// Builds what can be built before a fork.
    pub(crate) fn prepare(layers: &Layers) {
        if layers.has(Layer::Seccomp) {
            let _ = seccomp::program(caller(layers.level()));
        }
    }

    /// Starts a stage that raises its walls and waits to be given work.
    ///
    /// # Errors
    /// When no process can be made; everything later comes over the stage's channel.
    pub(crate) fn open(&self) -> Result<Stage, StartFailure> {
        let (ours, theirs) = channel::pair().map_err(|error| step("make a channel to a stage", &error))?;
        let mut flags = 0;
        if self.layers.has(Layer::Pids) {
            flags |= libc::CLONE_NEWPID | libc::CLONE_NEWNS;
        }
        let init = rustix::process::getpid();
        match fork(flags).map_err(|error| step("make a process", &error))? {
            Side::Parent(pid) => Ok(Stage { pid, channel: ours }),
            Side::Child => {
                let mut keep = vec![theirs.number()];
                keep.extend(self.domain.numbers());
                std::mem::forget(ours); // closed by number just below
                descriptors::keep_only(&keep);
                watch::run(self, &theirs, init)
            }
        }
    }

    /// The stage's own walls, before its command exists.
    fn raise(&self, init: Pid) -> Result<end_tree::Way, StartFailure> {
        let way = self.find_way(init)?;
        // Nothing below needs a capability any more, and the command inherits that there is none.
        if self.layers.has(Layer::Capabilities) {
            capabilities::drop_all().map_err(|failure| setup(&failure))?;
        }
        Ok(way)
    }

    fn find_way(&self, init: Pid) -> Result<end_tree::Way, StartFailure> {
        let processes = self.plan.policy.limits.processes;
        if self.layers.has(Layer::Pids) {
            mounts::own_proc().map_err(|error| step("mount the command's own /proc", &error))?;
            if self.layers.has(Layer::Rlimits) {
                rlimits::bound_pids(processes).map_err(|error| step("bound the number of processes", &error))?;
            }
            return Ok(end_tree::Way::PidNamespace);
        }
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|errno| step("become a subreaper", &errno.into()))?;
        match landlock::scopes(self.layers).map_err(|failure| setup(&failure))? {
            Some(domain) => end_tree::enter_scope_domain(&domain, init).map(end_tree::Way::ScopeDomain),
            None => Ok(end_tree::Way::Walk),
        }
    }
}

fn caller(level: Level) -> seccomp::Caller {
    if level == Level::Full { seccomp::Caller::CommandFull } else { seccomp::Caller::CommandBase }
}

fn step(step: &str, error: &std::io::Error) -> StartFailure {
    StartFailure::Step { step: step.to_owned(), errno: error.raw_os_error().unwrap_or(0) }
}

fn setup(failure: &crate::message::SetupFailure) -> StartFailure {
    let subject = failure.subject.as_deref().map(|subject| format!(" ({subject})")).unwrap_or_default();
    StartFailure::Step { step: format!("{}{subject}", failure.step), errno: failure.errno }
}
