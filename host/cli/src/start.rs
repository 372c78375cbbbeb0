//! Starts the daemon in the background and waits until it answers.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::failure::Failure;
use crate::orders::{Answer, Orders};

/// Longest time from start to ready. Opening a large database on a slow disk takes seconds.
const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };
/// Longest answer, in bytes.
const MAX_ANSWER: u64 = 64 << 10;

/// Starts a daemon and waits for its own word that it is ready.
///
/// # Errors
/// What the daemon says, when it does not start.
pub(crate) fn daemon(orders: &Orders) -> Result<Answer, Failure> {
    let mut child = spawn()?;
    let answer = exchange(&mut child, orders);
    if !matches!(answer, Ok(Answer::Ready { .. })) {
        // It said that it ends, or said nothing: nothing of it may stay.
        let _ = child.kill();
        let _ = child.wait();
    }
    answer
}

#[expect(clippy::disallowed_methods, reason = "the one place of the command line that starts a process: the daemon")]
fn spawn() -> Result<Child, Failure> {
    let child = Command::new("/proc/self/exe")
        .arg(crate::daemon::PART)
        // No key of the person's environment can stand in the daemon's.
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    Ok(child.context("could not start the daemon")?)
}

fn exchange(child: &mut Child, orders: &Orders) -> Result<Answer, Failure> {
    let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Failure::ours(anyhow::anyhow!("the daemon was started without its pipes")));
    };
    let text = serde_json::to_vec(orders).context("could not write the daemon's orders")?;
    stdin.write_all(&text).context("could not tell the daemon what to do")?;
    drop(stdin);
    let mut fds = [PollFd::new(&stdout, PollFlags::IN)];
    loop {
        match poll(&mut fds, Some(&PATIENCE)) {
            Ok(0) => {
                return Err(Failure::ours(anyhow::anyhow!("the daemon was not ready within {} s", PATIENCE.tv_sec)));
            }
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => {
                return Err(Failure::ours(anyhow::Error::from(errno).context("could not wait for the daemon")));
            }
        }
    }
    let mut text = Vec::new();
    stdout.by_ref().take(MAX_ANSWER).read_to_end(&mut text).context("could not hear the daemon")?;
    if text.is_empty() {
        return Err(Failure::ours(anyhow::anyhow!("the daemon ended before it was ready")));
    }
    Ok(serde_json::from_slice(&text).context("the daemon's answer makes no sense")?)
}
