//! The stage's life: start, watch, end the tree, report.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitStatus};
use serde::{Deserialize, Serialize};
use stigmer_policy::Layer;

use super::become_command::become_command;
use super::end_tree;
use super::{Context, Work, step};
use crate::channel::{Channel, ChannelError};
use crate::fork::{Side, exit, fork};
use crate::jail::capabilities;
use crate::message::{CommandReport, Ended, StartFailure};
use crate::signals;

/// From init to a stage.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum ToStage {
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
pub(super) fn run(context: &Context<'_>, work: Work, stdio: [OwnedFd; 3], init: Channel, parent: Pid) -> ! {
    let outcome = watch(context, &work, stdio, &init, parent);
    let message = match outcome {
        Ok(report) => FromStage::Ended(report),
        Err(failure) => FromStage::NotStarted(failure),
    };
    // Nobody to tell: init is gone, and so is the tree.
    let _ = init.send(&message, &[]);
    exit(0)
}

fn watch(
    context: &Context<'_>,
    work: &Work,
    stdio: [OwnedFd; 3],
    init: &Channel,
    parent: Pid,
) -> Result<CommandReport, StartFailure> {
    let way = context.raise(parent)?;
    let deadline = match work {
        Work::Command(spec) => spec.timeout,
        Work::Job(_) => None,
    }
    .map(|timeout| Instant::now() + timeout);
    let main = spawn(context, work, stdio)?;
    if context.layers.has(Layer::Capabilities) {
        capabilities::drop_all().map_err(|failure| super::setup(&failure))?;
    }
    // Init may be gone already; then the first poll says so.
    let _ = init.send(&FromStage::Started, &[]);
    let ended = wait(main, init, deadline)?;
    let (reaped, reaped_total) =
        if context.layers.has(Layer::Stage) { end_tree::end_tree(&way, main) } else { (Vec::new(), 0) };
    Ok(CommandReport { ended, reaped, reaped_total, restored: Vec::new() })
}

/// Forks the process that becomes the command, and waits until it has: the report pipe closes on exec.
fn spawn(context: &Context<'_>, work: &Work, stdio: [OwnedFd; 3]) -> Result<Pid, StartFailure> {
    let flags = rustix::pipe::PipeFlags::CLOEXEC;
    let (read, low) = rustix::pipe::pipe_with(flags).map_err(|errno| step("make a pipe", &errno.into()))?;
    // Above stdin, stdout and stderr, so that connecting those cannot close it.
    let write = rustix::io::fcntl_dupfd_cloexec(&low, 3).map_err(|errno| step("make a pipe", &errno.into()))?;
    drop(low);
    match fork(0).map_err(|error| step("make a process", &error))? {
        Side::Child => {
            let Err(failure) = become_command(context, work, &stdio, &write);
            // The failure is small and the pipe empty: one write takes it.
            if let Ok(bytes) = postcard::to_stdvec(&failure) {
                let _ = rustix::io::write(&write, &bytes);
            }
            exit(127)
        }
        Side::Parent(pid) => {
            drop((write, stdio));
            let mut report = Vec::new();
            std::fs::File::from(read).read_to_end(&mut report).map_err(|error| step("read from a pipe", &error))?;
            match postcard::from_bytes(&report) {
                Ok(failure) => Err(failure),
                Err(_) => Ok(pid),
            }
        }
    }
}

fn wait(main: Pid, init: &Channel, deadline: Option<Instant>) -> Result<Ended, StartFailure> {
    // Not a pidfd of the command alone: orphans of its tree end, too, and must not fill the pid namespace.
    let children = signals::ended_children().map_err(|error| step("watch the command", &error))?;
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(Ended::TimedOut);
        }
        let mut fds = [PollFd::new(&children, PollFlags::IN), PollFd::from_borrowed_fd(init.fd(), PollFlags::IN)];
        let timeout = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(step("wait for the command", &errno.into())),
        }
        let (command_event, init_event) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if command_event {
            signals::drain(&children);
            if let Some(status) = end_tree::reap_ended(main) {
                return Ok(ended(status));
            }
        }
        if init_event {
            match init.recv::<ToStage>() {
                Ok((ToStage::Signal(number), _)) => pass_on(main, number),
                Ok((ToStage::Kill, _)) | Err(ChannelError::Closed) => return Ok(Ended::Killed),
                Err(_) => return Ok(Ended::Killed),
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
