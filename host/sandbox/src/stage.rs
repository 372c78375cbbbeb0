//! One command and the stage that watches it.
//!
//! Init forks a stage per command. The stage starts the command, keeps its deadline, and when the command ends, its time
//! is up, it is told to, or init is gone, it ends the whole tree and only then reports. At full level the stage is the
//! first process of the command's own pid namespace; at base it stands in a Landlock domain that the command cannot
//! signal out of; at `filesystem` it can only walk the tree.

mod become_command;
mod end_tree;
mod watch;

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::process::Pid;
use stigmer_policy::{Layer, Level};

use crate::channel::{self, Channel};
use crate::descriptors;
use crate::fork::{Side, fork};
use crate::init::JobTable;
use crate::jail::layers::Layers;
use crate::jail::plan::Plan;
use crate::jail::{landlock, mounts, rlimits};
use crate::message::{CommandSpec, Job, StartFailure};
use crate::seccomp;

/// What a stage starts.
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

/// What all stages of an execution share.
pub(crate) struct Context<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) layers: &'a Layers,
    pub(crate) jobs: JobTable,
}

impl Context<'_> {
    /// Builds what can be built before a fork.
    pub(crate) fn prepare(layers: &Layers) {
        if layers.has(Layer::Seccomp) {
            let _ = seccomp::program(caller(layers.level()));
        }
    }

    /// Starts a stage for `work`.
    ///
    /// # Errors
    /// When no process can be made; everything later comes over the stage's channel.
    pub(crate) fn start(&self, work: Work, stdio: [OwnedFd; 3]) -> Result<Stage, StartFailure> {
        for (fd, stream) in stdio.iter().zip(["stdin", "stdout", "stderr"]) {
            if let Some(what) = descriptors::refused(std::os::fd::AsFd::as_fd(fd)) {
                return Err(StartFailure::Descriptor { stream: stream.to_owned(), what: what.to_owned() });
            }
        }
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
                keep.extend(stdio.iter().map(AsRawFd::as_raw_fd));
                std::mem::forget(ours); // closed by number just below
                descriptors::keep_only(&keep);
                watch::run(self, work, stdio, theirs, init)
            }
        }
    }

    /// The stage's own walls, before its command exists.
    fn raise(&self, init: Pid) -> Result<end_tree::Way, StartFailure> {
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
            Some(domain) => end_tree::enter_scope_domain(domain, init).map(end_tree::Way::ScopeDomain),
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
