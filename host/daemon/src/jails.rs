//! Real jails for the supervisor: [`JailStarter`] over `stigmer_sandbox::start`.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::event::{PollFd, PollFlags, poll};
use stigmer_policy::Level;
use stigmer_sandbox::message::{CommandMode, CommandSpec, Ended, FromInit, Restored, RunnerSetup, Setup};
use stigmer_sandbox::prepare::{self, Person, RunFolder};
use stigmer_sandbox::probe::advice;
use stigmer_sandbox::start::{self, Launch, StartError};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::api::runner::Question;
use crate::supervisor::jail::{Jail, JailError, JailEvent, JailSpec, JailStarter};

/// This very program, whatever has become of the file that it was started from (proc(5)).
const OURSELVES: &str = "/proc/self/exe";
/// First argument of a runner's process.
pub const RUNNER_PART: &str = "agent-runner";

/// Starts jails by starting this program as their init.
#[derive(Debug)]
pub struct Jails {
    person: Person,
    executable: OwnedFd,
}

impl Jails {
    /// Jails of `person`. The program that serves as init and runner is the one that calls this.
    ///
    /// # Errors
    /// When the program's own file cannot be opened.
    #[expect(clippy::disallowed_methods, reason = "the program's own file, to be handed to each jail")]
    pub fn new(person: Person) -> std::io::Result<Self> {
        Ok(Jails { person, executable: File::open(OURSELVES)?.into() })
    }
}

#[async_trait]
impl JailStarter for Jails {
    async fn start(&self, spec: &JailSpec, rpc: OwnedFd) -> Result<Box<dyn Jail>, JailError> {
        let (spec, person) = (spec.clone(), self.person.clone());
        let executable = self.executable.try_clone().map_err(|error| broken(&error))?;
        let started = tokio::task::spawn_blocking(move || begin(&spec, &person, &executable, &rpc));
        let (jail, run, code) = started.await.map_err(|error| broken(&error))??;
        Ok(Box::new(Standing::new(jail, run, code).map_err(|error| broken(&error))?))
    }
}

type Begun = (start::Jail, Option<RunFolder>, Vec<Arc<OwnedFd>>);

fn begin(spec: &JailSpec, person: &Person, executable: &OwnedFd, rpc: &OwnedFd) -> Result<Begun, JailError> {
    let run = match spec.level {
        Level::Full => None,
        Level::Base | Level::Filesystem => Some(run_folder(&person.stigmer_home, &spec.run)?),
    };
    let plan = prepare::plan(&spec.policy, spec.level, person, None).map_err(|error| refused(&error))?;
    if run.is_some() {
        RunFolder::write(&plan.home_files).map_err(|error| broken(&error))?;
    }
    let runner = RunnerSetup {
        argv: vec![b"stigmer".to_vec(), RUNNER_PART.into(), spec.level.name().into()],
        env: Vec::new(),
        code: u32::try_from(spec.code.len()).map_err(|error| refused(&error))?,
    };
    let mode = if spec.released { CommandMode::Released } else { CommandMode::Free };
    let setup = Setup { plan, mode, runner: Some(runner), spare: true, left_out: Vec::new() };
    let mut descriptors: Vec<BorrowedFd<'_>> = vec![executable.as_fd(), rpc.as_fd()];
    descriptors.extend(spec.code.iter().map(|code| code.as_fd()));
    let launch = Launch::Spawn { executable: PathBuf::from(OURSELVES) };
    match start::Jail::start(&launch, setup, &descriptors) {
        Ok(jail) => {
            if jail.partial() {
                tracing::warn!(execution = %spec.name, "the workspace holds too many folders to be searched whole for protected paths");
            }
            Ok((jail, run, spec.code.clone()))
        }
        // The machine cannot hold the level: another try would end the same.
        Err(StartError::Setup(failure)) => {
            let (level, why) = (spec.level.name(), advice::failed(&failure));
            let message = format!("level `{level}` cannot be built here: {why}; `stigmer doctor` says what would help");
            Err(JailError { message, again: false })
        }
        Err(error) => Err(broken(&error)),
    }
}

/// The folder that holds home and scratch below full level. One that a daemon before this one left is made anew.
#[expect(clippy::disallowed_methods, reason = "the execution's own folder below STIGMER_HOME")]
fn run_folder(stigmer_home: &Path, run: &Path) -> Result<RunFolder, JailError> {
    let make = || {
        let name = run.file_name().and_then(|name| name.to_str()).ok_or(std::io::ErrorKind::InvalidInput)?;
        match std::fs::remove_dir_all(run) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        RunFolder::create(stigmer_home, name)
    };
    make().map_err(|error| JailError { message: format!("could not make `{}`: {error}", run.display()), again: true })
}

/// A jail whose init runs.
struct Standing {
    /// `None` once it is gone.
    jail: Option<start::Jail>,
    control: AsyncFd<OwnedFd>,
    gone: AsyncFd<OwnedFd>,
    run: Option<RunFolder>,
    code: Vec<Arc<OwnedFd>>,
    why: String,
}

impl Standing {
    #[expect(deprecated, reason = "its successor is unsafe for types that may close early; an OwnedFd cannot")]
    fn new(jail: start::Jail, run: Option<RunFolder>, code: Vec<Arc<OwnedFd>>) -> std::io::Result<Self> {
        let watched = |fd: BorrowedFd<'_>| AsyncFd::with_interest(fd.try_clone_to_owned()?, Interest::READABLE);
        let (control, gone) = (watched(jail.control())?, watched(jail.pidfd())?);
        Ok(Standing { jail: Some(jail), control, gone, run, code, why: String::new() })
    }

    /// What init said, when it said something.
    fn said(&self) -> Option<Result<FromInit, String>> {
        let jail = self.jail.as_ref()?;
        // The socket blocks; init alone decides whether readiness was true.
        let mut fds = [PollFd::from_borrowed_fd(jail.control(), PollFlags::IN)];
        match poll(&mut fds, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(jail.next().map_err(|error| chain(&error))),
        }
    }

    /// Waits for the end of init, which is the end of the tree.
    async fn end(&mut self) -> JailEvent {
        let _ = self.gone.readable().await;
        let (jail, run) = (self.jail.take(), self.run.take());
        self.code.clear();
        // Both block: waiting for a process that is gone, and removing what its commands left.
        let ended = tokio::task::spawn_blocking(move || {
            let code = jail.and_then(start::Jail::end);
            if let (Some(run), true) = (&run, code != Some(0)) {
                run.end_left();
            }
            drop(run);
            code
        });
        if let (Ok(Some(code)), true) = (ended.await, self.why.is_empty()) {
            self.why = format!("init ended with code {code}");
        }
        JailEvent::Gone(self.why.clone())
    }
}

#[async_trait]
impl Jail for Standing {
    async fn event(&mut self) -> JailEvent {
        loop {
            if self.jail.is_none() {
                return JailEvent::Gone(self.why.clone());
            }
            match self.said() {
                Some(Ok(FromInit::RunnerEnded(ended))) => return JailEvent::RunnerEnded(words(ended)),
                Some(Ok(FromInit::Restored(restored))) => {
                    say(&restored);
                    continue;
                }
                // Commands are the runner's business; init tells it of them.
                Some(Ok(_)) => continue,
                // Nothing more will come but its end.
                Some(Err(why)) => {
                    if self.why.is_empty() {
                        self.why = why;
                    }
                    return self.end().await;
                }
                None => {}
            }
            tokio::select! {
                ready = self.control.readable() => match ready {
                    Ok(mut ready) => ready.clear_ready(),
                    Err(_) => return self.end().await,
                },
                _ = self.gone.readable() => return self.end().await,
            }
        }
    }

    async fn release(&mut self, question: &Question) -> Result<(), JailError> {
        let jail = self.jail.as_ref().ok_or_else(|| broken(&std::io::Error::from(std::io::ErrorKind::BrokenPipe)))?;
        jail.release(question.number, command_of(question).digest()).map_err(|error| broken(&error))
    }

    async fn restart_runner(&mut self, rpc: OwnedFd) -> Result<(), JailError> {
        let jail = self.jail.as_ref().ok_or_else(|| broken(&std::io::Error::from(std::io::ErrorKind::BrokenPipe)))?;
        let mut descriptors = vec![rpc.as_fd()];
        descriptors.extend(self.code.iter().map(|code| code.as_fd()));
        jail.restart_runner(&descriptors).map_err(|error| broken(&error))
    }

    async fn stop(&mut self) {
        let Some(jail) = &self.jail else { return };
        // Closed: it is on its way out already.
        let _ = jail.stop();
    }
}

/// The command that a question is about, as init will be asked for it.
fn command_of(question: &Question) -> CommandSpec {
    CommandSpec {
        argv: question.argv.iter().map(|argument| argument.to_vec()).collect(),
        env: question.env.iter().map(|pair| pair.to_vec()).collect(),
        cwd: question.cwd.to_vec(),
        timeout: (question.timeout_ms != 0).then(|| Duration::from_millis(question.timeout_ms)),
    }
}

fn say(restored: &[Restored]) {
    for Restored { path, action } in restored {
        tracing::warn!(path, ?action, "a command that was cut off had changed a protected path");
    }
}

fn words(ended: Ended) -> String {
    match ended {
        Ended::Code(code) => format!("it ended with code {code}"),
        Ended::Signal(number) => format!("signal {number} ended it"),
        Ended::TimedOut => "its time was up".to_owned(),
        Ended::Killed => "it was ended on request".to_owned(),
        Ended::Lost => "it was lost".to_owned(),
    }
}

fn refused(error: &dyn std::error::Error) -> JailError {
    JailError { message: chain(error), again: false }
}

fn broken(error: &dyn std::error::Error) -> JailError {
    JailError { message: chain(error), again: true }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
