//! Stopping a daemon: it is asked, then told, then ended.

use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use stigmer_proto::local::StopRequest;

use crate::client::{self, failed};
use crate::failure::Failure;
use crate::printer::Printer;

/// Longest time for a daemon that was asked to end every tree and to answer.
const ASKED: Duration = Duration::from_secs(20);
/// Time between each stronger word.
const STEP: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// What there was to stop.
pub(crate) enum Ended {
    /// Nothing.
    NotRunning,
    /// A daemon; it had this many executions.
    Stopped { parked: u32 },
}

/// Stops the daemon of a home. When this returns, its process is gone.
pub(crate) fn stop(stigmer_home: &Path, printer: &Printer) -> Result<Ended, Failure> {
    let socket = client::socket(stigmer_home);
    let Some(pid) = client::listener(&socket)? else { return Ok(Ended::NotRunning) };
    // By descriptor: a number could name another process by the time it is used.
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(rustix::io::Errno::SRCH) => return Ok(Ended::NotRunning),
        Err(errno) => return Err(Failure::ours(anyhow::Error::from(errno).context("could not watch the daemon"))),
    };
    // Still the one that listens: so the descriptor was opened while the number was its own.
    if client::listener(&socket)? != Some(pid) {
        return Err(Failure::said_no(anyhow::anyhow!("the daemon changed while it was to be stopped")));
    }
    let parked = match ask(&socket) {
        Ok(parked) => parked,
        Err(failure) => {
            printer.note(format_args!("the daemon does not stop when asked: {failure}"));
            0
        }
    };
    for signal in [None, Some(Signal::TERM), Some(Signal::KILL)] {
        if let Some(signal) = signal {
            printer.note(format_args!("pid {} is told to end ({})", number(pid), name(signal)));
            // ESRCH: it was faster.
            let _ = pidfd_send_signal(&process, signal);
        }
        if gone(&process)? {
            return Ok(Ended::Stopped { parked });
        }
    }
    Err(Failure::ours(anyhow::anyhow!("pid {} does not end", number(pid))))
}

fn ask(socket: &Path) -> Result<u32, Failure> {
    client::runtime()?.block_on(async {
        let asking = async {
            let mut daemon = client::connect(socket).await?;
            let reply = daemon.stop(StopRequest {}).await.map_err(|status| failed("could not stop it", &status))?;
            Ok(reply.into_inner().parked)
        };
        let in_time = tokio::time::timeout(ASKED, asking).await;
        in_time.unwrap_or_else(|_| Err(Failure::ours(anyhow::anyhow!("no answer within {} s", ASKED.as_secs()))))
    })
}

fn gone(process: &rustix::fd::OwnedFd) -> Result<bool, Failure> {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    loop {
        match poll(&mut fds, Some(&STEP)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => {
                return Err(Failure::ours(anyhow::Error::from(errno).context("could not wait for the daemon")));
            }
        }
    }
}

fn number(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}

fn name(signal: Signal) -> &'static str {
    if signal == Signal::KILL { "SIGKILL" } else { "SIGTERM" }
}
