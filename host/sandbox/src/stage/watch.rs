//! The stage's life: start, watch, end the tree, report.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitStatus};
use serde::{Deserialize, Serialize};
use stigmer_policy::Layer;

use super::become_command::become_command;
use super::end_tree::{self, Way};
use super::{Context, Work, step};
use crate::channel::Channel;
use crate::fork::{Side, exit, fork, vfork};
use crate::message::{CommandReport, Ended, StartFailure};
use crate::signals;

/// From init to a stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum ToStage {
    /// Start this; stdin, stdout and stderr come as descriptors. Once, first.
    Begin(Work),
    /// Pass a signal on to the command's process group.
    Signal(i32),
    /// End the tree.
    Kill,
}

/// From a stage to init.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum FromStage {
    /// The command runs.
    Started,
    /// It could not be started. The stage is gone after this.
    NotStarted(StartFailure),
    /// The tree is gone. The stage is gone after this.
    Ended(CommandReport),
}

/// Runs the stage in a process that init forked for it; never returns.
pub(super) fn run(context: &Context<'_>, init: Channel, parent: Pid) -> ! {
    let message = match context.raise(parent) {
        Err(failure) => FromStage::NotStarted(failure),
        Ok(way) => match given(&init) {
            // Never used: init is gone, or keeps no spare any more.
            None => exit(0),
            Some((work, stdio)) => match watch(context, &way, &work, stdio, &init) {
                Ok(report) => FromStage::Ended(report),
                Err(failure) => FromStage::NotStarted(failure),
            },
        },
    };
    // Nobody to tell: init is gone, and so is the tree.
    let _ = init.send(&message, &[]);
    exit(0)
}

/// Waits for work.
fn given(init: &Channel) -> Option<(Work, [OwnedFd; 3])> {
    match init.recv::<ToStage>() {
        Ok((ToStage::Begin(work), descriptors)) => Some((work, descriptors.try_into().ok()?)),
        Ok(_) | Err(_) => None,
    }
}

fn watch(
    context: &Context<'_>,
    way: &Way,
    work: &Work,
    stdio: [OwnedFd; 3],
    init: &Channel,
) -> Result<CommandReport, StartFailure> {
    // Not a pidfd of the command alone: orphans of its tree end, too, and must not fill the pid namespace.
    let children = signals::ended_children().map_err(|error| step("watch the command", &error))?;
    let deadline = match work {
        Work::Command(spec) => spec.timeout,
        Work::Job(_) => None,
    }
    .map(|timeout| Instant::now() + timeout);
    let main = spawn(context, work, stdio)?;
    // Init may be gone already; then the first poll says so.
    let _ = init.send(&FromStage::Started, &[]);
    let ended = wait(main, init, &children, deadline);
    let (reaped, reaped_total) =
        if context.layers.has(Layer::Stage) { end_tree::end_tree(way, main) } else { (Vec::new(), 0) };
    Ok(CommandReport { ended, reaped, reaped_total, restored: Vec::new() })
}

/// Makes the process that becomes the command, and waits until it has.
fn spawn(context: &Context<'_>, work: &Work, stdio: [OwnedFd; 3]) -> Result<Pid, StartFailure> {
    match work {
        Work::Command(_) => {
            let mut failure = None;
            let pid = vfork(&mut || {
                let Err(error) = become_command(context, work, &stdio);
                failure = Some(error);
                exit(127)
            });
            let pid = pid.map_err(|error| step("make a process", &error))?;
            failure.map_or(Ok(pid), Err)
        }
        // Our own code stays in the process: it must not share this one's memory, nor hold it up.
        Work::Job(_) => match fork(0).map_err(|error| step("make a process", &error))? {
            Side::Child => {
                // Says no more than that it failed: a job's own walls are those of a command.
                let Err(_) = become_command(context, work, &stdio);
                exit(127)
            }
            Side::Parent(pid) => Ok(pid),
        },
    }
}

fn wait(main: Pid, init: &Channel, children: &OwnedFd, deadline: Option<Instant>) -> Ended {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ended::TimedOut;
        }
        let mut fds = [PollFd::new(children, PollFlags::IN), PollFd::from_borrowed_fd(init.fd(), PollFlags::IN)];
        let timeout = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            // Blind, it can only end what it watches.
            Err(_) => return Ended::Lost,
        }
        let (command_event, init_event) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if command_event {
            signals::drain(children);
            if let Some(status) = end_tree::reap_ended(main) {
                return ended(status);
            }
        }
        if init_event {
            match init.recv::<ToStage>() {
                Ok((ToStage::Signal(number), _)) => pass_on(main, number),
                // Told to, or init is gone.
                Ok(_) | Err(_) => return Ended::Killed,
            }
        }
    }
}

fn ended(status: WaitStatus) -> Ended {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, Some(signal)) => Ended::Signal(signal),
        // Neither exited nor killed: waitpid without WUNTRACED does not report that.
        (None, None) => Ended::Lost,
    }
}

fn pass_on(main: Pid, number: i32) {
    if let Some(signal) = Signal::from_named_raw(number) {
        // The group is the command's session; ESRCH when it has just ended.
        let _ = rustix::process::kill_process_group(main, signal);
    }
}
