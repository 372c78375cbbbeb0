//! `stigmer sandbox exec`: one command in the jail, with this process's own stdin, stdout and stderr.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, poll};
use stigmer_sandbox::message::{CallId, CommandReport, CommandSpec, Ended, FromInit, RestoreAction, StartFailure};
use stigmer_sandbox::start::{Jail, Signals};

use super::walls::Walls;
use crate::failure::{self, Failure};
use crate::printer::Printer;

/// Exit code when the time was up, as timeout(1) has it.
const TIMED_OUT: u8 = 124;
/// Exit code when the program cannot be executed, as shells have it.
const CANNOT_EXECUTE: u8 = 126;
/// Exit code when there is no such program, as shells have it.
const NOT_FOUND: u8 = 127;
/// What is added to the number of a signal that ended the command.
const BY_SIGNAL: i32 = 128;

/// Runs one command inside the walls
///
/// stdin, stdout and stderr pass through unchanged. Exits with the command's code; 124 when the time is up, 128+n when
/// signal n ended it, 126 and 127 as a shell does.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stigmer sandbox exec -- make test\n  stigmer sandbox exec --root ~/project --timeout 60 -- sh -c 'npm test | tail'"
)]
pub(crate) struct ExecCommand {
    #[command(flatten)]
    walls: Walls,
    /// Ends the command and all that it started after this many seconds
    #[arg(long, value_name = "S", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Sets a variable for the command; may be given several times
    #[arg(long, value_name = "K=V", value_parser = assignment)]
    env: Vec<(OsString, OsString)>,
    /// Program and arguments; no shell is involved
    #[arg(last = true, required = true, value_name = "ARGV")]
    argv: Vec<OsString>,
}

impl ExecCommand {
    /// Runs the command; gives its exit code.
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let mut standing = self.walls.start(printer)?;
        for (name, value) in &self.env {
            standing.environment.set(name, value);
        }
        let spec = CommandSpec {
            argv: self.argv.into_iter().map(OsString::into_vec).collect(),
            env: standing.environment.to_pairs(),
            cwd: standing.workspace.as_path().as_os_str().as_bytes().to_vec(),
            timeout: self.timeout,
        };
        let outcome = run(&standing.jail, spec)?;
        Ok(match outcome {
            Ok(report) => ended(&report, printer),
            Err(failure) => not_started(&failure, printer),
        })
    }
}

const CALL: CallId = 1;

/// Starts the command and waits; passes on what a person or a supervisor sends to this process meanwhile.
fn run(jail: &Jail, spec: CommandSpec) -> Result<Result<CommandReport, StartFailure>, Failure> {
    let signals = Signals::passed_on().context("could not watch for signals")?;
    let stdio: [OwnedFd; 3] = standard_streams().context("stdin, stdout or stderr is closed")?;
    jail.command(CALL, spec, [stdio[0].as_fd(), stdio[1].as_fd(), stdio[2].as_fd()])
        .context("could not reach the jail")?;
    // Ours are copies: the command's readers must see their end when the command is done, not when we are.
    drop(stdio);
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(jail.control(), PollFlags::IN),
            PollFd::from_borrowed_fd(signals.fd(), PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Failure::ours(anyhow::Error::from(errno).context("could not wait for the jail"))),
        }
        let (said, signalled) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if signalled {
            for number in signals.take() {
                jail.signal(CALL, number).context("could not pass a signal on")?;
            }
        }
        if said {
            match jail.next().context("the jail ended before its command")? {
                FromInit::Ended(CALL, report) => return Ok(Ok(report)),
                FromInit::NotStarted(CALL, failure) => return Ok(Err(failure)),
                _ => {}
            }
        }
    }
}

fn standard_streams() -> std::io::Result<[OwnedFd; 3]> {
    Ok([
        std::io::stdin().as_fd().try_clone_to_owned()?,
        std::io::stdout().as_fd().try_clone_to_owned()?,
        std::io::stderr().as_fd().try_clone_to_owned()?,
    ])
}

fn ended(report: &CommandReport, printer: &Printer) -> ExitCode {
    for restored in &report.restored {
        let done = match &restored.action {
            RestoreAction::PutBack => "its former content was put back".to_owned(),
            RestoreAction::Quarantined(name) => format!("what the command put there was moved to `{name}`"),
            RestoreAction::Failed(reason) => format!("it could not be restored: {reason}"),
        };
        printer.note(format_args!("`{}` is protected (rule `protected-paths`); {done}", restored.path));
    }
    let code = match report.ended {
        Ended::Code(code) => code,
        Ended::Signal(number) => BY_SIGNAL + number,
        Ended::TimedOut => i32::from(TIMED_OUT),
        Ended::Killed | Ended::Lost => i32::from(failure::OURS),
    };
    ExitCode::from(u8::try_from(code & 0xff).expect("masked to eight bits"))
}

fn not_started(failure: &StartFailure, printer: &Printer) -> ExitCode {
    let errno = match failure {
        StartFailure::CannotExecute { errno, .. } | StartFailure::Step { errno, .. } if *errno != 0 => {
            format!(": {}", std::io::Error::from_raw_os_error(*errno))
        }
        _ => String::new(),
    };
    printer.error(format_args!("{failure}{errno}"));
    ExitCode::from(match failure {
        StartFailure::NotFound(_) => NOT_FOUND,
        StartFailure::CannotExecute { .. } | StartFailure::ArgumentTooLong { .. } | StartFailure::ArgumentsTooLong => {
            CANNOT_EXECUTE
        }
        StartFailure::Descriptor { .. } | StartFailure::Directory(_) => failure::USAGE,
        _ => failure::OURS,
    })
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("must be more than 0".to_owned()) } else { Ok(duration) }
}

fn assignment(text: &str) -> Result<(OsString, OsString), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
