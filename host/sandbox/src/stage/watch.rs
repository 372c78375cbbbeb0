//! The stage's life: start, watch, end the tree, report.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitStatus};
use serde::{Deserialize, Serialize};
use stigmer_policy::Layer;

use super::end_tree;
use super::zygote::{Said, Zygote};
use super::{Context, Work, step};
use crate::channel::Channel;
use crate::fork::exit;
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
pub(super) fn run(context: &Context<'_>, init: &Channel, parent: Pid) -> ! {
    let message = match watch(context, init, parent) {
        Ok(Some(report)) => FromStage::Ended(report),
        // Never used: init is gone, or keeps no spare any more.
        Ok(None) => exit(0),
        Err(failure) => FromStage::NotStarted(failure),
    };
    // Nobody to tell: init is gone, and so is the tree.
    let _ = init.send(&message, &[]);
    exit(0)
}

fn watch(context: &Context<'_>, init: &Channel, parent: Pid) -> Result<Option<CommandReport>, StartFailure> {
    let way = context.raise(parent)?;
    // Not a pidfd of the command alone: orphans of its tree end, too, and must not fill the pid namespace.
    let children = signals::ended_children().map_err(|error| step("watch the command", &error))?;
    let Zygote { pid: main, said } = Zygote::open(context, init, parent)?;
    let deadline = match said.recv::<Said>() {
        Ok((Said::Begun(timeout), _)) => timeout.map(|timeout| Instant::now() + timeout),
        Ok((Said::Failed(failure), _)) => return Err(failure),
        Err(_) => return Ok(None),
    };
    let ended = wait(main, init, said, &children, deadline)?;
    let (reaped, reaped_total) =
        if context.layers.has(Layer::Stage) { end_tree::end_tree(&way, main) } else { (Vec::new(), 0) };
    Ok(Some(CommandReport { ended, reaped, reaped_total, restored: Vec::new() }))
}

/// Waits for the end of the command, or for a reason to end it.
///
/// # Errors
/// When it could not be started.
fn wait(
    main: Pid,
    init: &Channel,
    said: Channel,
    children: &OwnedFd,
    deadline: Option<Instant>,
) -> Result<Ended, StartFailure> {
    let mut starting = Some(said);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(Ended::TimedOut);
        }
        let mut fds = vec![PollFd::new(children, PollFlags::IN), PollFd::from_borrowed_fd(init.fd(), PollFlags::IN)];
        fds.extend(starting.as_ref().map(|said| PollFd::from_borrowed_fd(said.fd(), PollFlags::IN)));
        let timeout = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            // Blind, it can only end what it watches.
            Err(_) => return Ok(Ended::Lost),
        }
        let ready: Vec<_> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        // First: a command that has ended already had started before.
        if ready.get(2) == Some(&true)
            && let Some(said) = starting.take()
        {
            if let Ok((Said::Failed(failure), _)) = said.recv::<Said>() {
                return Err(failure);
            }
            // Init may be gone already; then the next poll says so.
            let _ = init.send(&FromStage::Started, &[]);
        }
        if ready[0] {
            signals::drain(children);
            if let Some(status) = end_tree::reap_ended(main) {
                return Ok(ended(status));
            }
        }
        if ready[1] {
            match init.recv::<ToStage>() {
                Ok((ToStage::Signal(number), _)) => pass_on(main, number),
                // Told to, or init is gone.
                Ok(_) | Err(_) => return Ok(Ended::Killed),
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
