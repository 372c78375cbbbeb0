//! The trusted half's door to a jail: start an init, speak with it, end it. `daemon` and `cli` use nothing else of the
//! jail.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use stigmer_policy::{Layer, Level};

use crate::channel::{self, Channel, ChannelError};
use crate::fork::{Side, fork, is_single_threaded};
use crate::init::{Birth, JobTable};
use crate::jail::layers::Layers;
use crate::jail::namespaces;
use crate::message::{CallId, CommandSpec, FromInit, Job, Setup, SetupFailure, ToInit};
use crate::{descriptors, init, signals};

/// How init comes to life.
pub enum Launch {
    /// By cloning the calling process, which must have one thread: no second start of the executable.
    Clone(JobTable),
    /// By starting `executable init`, for callers with threads. The program must call [`init::run`] on its stdin.
    Spawn {
        /// Our own executable.
        executable: PathBuf,
    },
}

/// A jail that stands.
#[derive(Debug)]
pub struct Jail {
    control: Channel,
    init: Pid,
    pidfd: OwnedFd,
    level: Level,
    anchored: Vec<String>,
    partial: bool,
    waited: bool,
}

/// A jail of which only init is there. Dropping it ends init.
#[derive(Debug)]
pub struct Begun {
    jail: Jail,
    left_out: Vec<Layer>,
}

impl Begun {
    /// Has init build the jail, and waits until it stands. `setup` must name the level and layers it was begun with.
    ///
    /// # Errors
    /// As [`Jail::start`].
    pub fn stand(self, setup: Setup, descriptors: &[BorrowedFd<'_>]) -> Result<Jail, StartError> {
        let Begun { mut jail, left_out } = self;
        // Init would stand in the namespaces of one level with the walls of another.
        if (setup.plan.level, &setup.left_out) != (jail.level, &left_out) {
            return Err(StartError::Channel(ChannelError::Malformed { what: "a setup for another level" }));
        }
        jail.control.send(&ToInit::Setup(Box::new(setup)), descriptors)?;
        match jail.control.recv::<FromInit>()?.0 {
            FromInit::Ready { level, anchored, partial } => {
                (jail.level, jail.anchored, jail.partial) = (level, anchored, partial);
                Ok(jail)
            }
            FromInit::Failed(failure) => Err(StartError::Setup(failure)),
            _ => Err(StartError::Channel(ChannelError::Malformed { what: "not ready, not failed" })),
        }
    }
}

/// Signals that a person or a supervisor sends to the trusted half, to be passed on to a command.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Holds back INT, TERM and HUP of the calling thread from now on.
    ///
    /// # Errors
    /// As signalfd(2).
    pub fn passed_on() -> io::Result<Signals> {
        let numbers = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];
        signals::block(&numbers);
        signals::watch(&numbers).map(Signals)
    }

    /// Becomes readable when one has come.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Takes those that have come.
    #[must_use]
    pub fn take(&self) -> Vec<i32> {
        signals::drain(&self.0)
    }
}

/// Why a jail does not stand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// [`Launch::Clone`] in a process with more than one thread.
    #[error("a process with threads cannot clone itself into a jail")]
    Threads,
    /// Init could not be started.
    #[error("could not start the jail's init")]
    Spawn(#[source] io::Error),
    /// Init could not be spoken with.
    #[error("could not speak with the jail's init")]
    Channel(#[from] ChannelError),
    /// Init says which step it could not do.
    #[error("the jail could not be made: could not {}{}", .0.step, .0.subject.as_deref().map(|subject| format!(" `{subject}`")).unwrap_or_default())]
    Setup(SetupFailure),
}

impl StartError {
    /// The step that failed, when the jail itself could not be made here (and another level might).
    #[must_use]
    pub fn setup_failure(&self) -> Option<&SetupFailure> {
        match self {
            StartError::Setup(failure) => Some(failure),
            _ => None,
        }
    }
}

impl Jail {
    /// Starts a jail and waits until it stands.
    ///
    /// `descriptors` belong to the runner that `setup` names: executable, *rpc*, code memfds.
    ///
    /// # Errors
    /// [`StartError::Setup`] names the step, its subject and its layer. The tree is gone then.
    pub fn start(launch: &Launch, setup: Setup, descriptors: &[BorrowedFd<'_>]) -> Result<Jail, StartError> {
        Jail::begin(launch, setup.plan.level, &setup.left_out)?.stand(setup, descriptors)
    }

    /// Starts an init that makes its namespaces while the caller still finds out what is to be in them.
    ///
    /// # Errors
    /// When no init can be started.
    pub fn begin(launch: &Launch, level: Level, left_out: &[Layer]) -> Result<Begun, StartError> {
        let (control, theirs) = channel::pair().map_err(StartError::Spawn)?;
        let init = match launch {
            Launch::Clone(jobs) => clone(&Layers::new(level, left_out.to_vec()), theirs, jobs)?,
            Launch::Spawn { executable } => spawn(executable, theirs)?,
        };
        let pidfd =
            rustix::process::pidfd_open(init, PidfdFlags::empty()).map_err(|errno| StartError::Spawn(errno.into()))?;
        let jail = Jail { control, init, pidfd, level, anchored: Vec::new(), partial: false, waited: false };
        Ok(Begun { jail, left_out: left_out.to_vec() })
    }

    /// The level that stands.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Protected paths that are held by anchors, as text.
    #[must_use]
    pub fn anchored(&self) -> &[String] {
        &self.anchored
    }

    /// Whether the search for protected paths stopped at its bound.
    #[must_use]
    pub fn partial(&self) -> bool {
        self.partial
    }

    /// Becomes readable when init says something.
    #[must_use]
    pub fn control(&self) -> BorrowedFd<'_> {
        self.control.fd()
    }

    /// Becomes readable when init is gone.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Whether init is gone or going, though nobody has told it to end. Its end of control closes before its process
    /// can be waited for.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.control.fd(), PollFlags::empty())];
        matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1..))
    }

    /// Init's process id on the host, for people.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.init.as_raw_nonzero().get()
    }

    /// Waits for what init says next.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] when init is gone.
    pub fn next(&self) -> Result<FromInit, ChannelError> {
        self.control.recv().map(|(message, _)| message)
    }

    /// Starts a command on these three descriptors. What becomes of it comes by [`Jail::next`].
    ///
    /// # Errors
    /// When init is gone.
    pub fn command(&self, call: CallId, spec: CommandSpec, stdio: [BorrowedFd<'_>; 3]) -> Result<(), ChannelError> {
        self.control.send(&ToInit::Start(call, spec), &stdio)
    }

    /// Runs one of our own jobs, confined like a command.
    ///
    /// # Errors
    /// When init is gone.
    pub fn job(&self, call: CallId, job: Job, stdio: [BorrowedFd<'_>; 3]) -> Result<(), ChannelError> {
        self.control.send(&ToInit::Job(call, job), &stdio)
    }

    /// Passes a signal on to a command started by [`Jail::command`].
    ///
    /// # Errors
    /// When init is gone.
    pub fn signal(&self, call: CallId, number: i32) -> Result<(), ChannelError> {
        self.control.send(&ToInit::Signal(call, number), &[])
    }

    /// Ends a command's whole tree.
    ///
    /// # Errors
    /// When init is gone.
    pub fn kill(&self, call: CallId) -> Result<(), ChannelError> {
        self.control.send(&ToInit::Kill(call), &[])
    }

    /// Lets the runner start one call, with exactly the command that has this digest.
    ///
    /// # Errors
    /// When init is gone.
    pub fn release(&self, call: CallId, digest: [u8; 32]) -> Result<(), ChannelError> {
        self.control.send(&ToInit::Release(call, digest), &[])
    }

    /// Ends the runner and its commands and starts another, with a new *rpc* stream and code. Scratch stays.
    ///
    /// # Errors
    /// When init is gone.
    pub fn restart_runner(&self, rpc_and_code: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        self.control.send(&ToInit::RestartRunner, rpc_and_code)
    }

    /// Asks init to end the tree; [`Jail::pidfd`] says when it is gone.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] when it is gone already.
    pub fn stop(&self) -> Result<(), ChannelError> {
        self.control.send(&ToInit::Stop, &[])
    }

    /// Ends the tree without asking. For an init that does not answer.
    pub fn kill_init(&self) {
        // ESRCH: it is gone.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Ends the tree and waits until it is gone. Returns init's exit code; `None` when somebody else waited for it.
    pub fn end(mut self) -> Option<i32> {
        let _ = self.stop();
        self.wait()
    }

    fn wait(&mut self) -> Option<i32> {
        if std::mem::replace(&mut self.waited, true) {
            return None;
        }
        loop {
            match rustix::process::waitpid(Some(self.init), WaitOptions::empty()) {
                Ok(status) => return status.and_then(|(_, status)| status.exit_status()),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        let _ = self.stop();
        self.wait();
    }
}

fn clone(layers: &Layers, theirs: Channel, jobs: JobTable) -> Result<Pid, StartError> {
    if !is_single_threaded() {
        return Err(StartError::Threads);
    }
    // Born in its namespaces, one process is spared. Where the kernel refuses, init leaves for them one by one and says
    // which it was.
    let inside = layers.needs_namespaces().then(|| fork(namespaces::at_birth(layers)).ok()).flatten();
    let (side, birth) = match inside {
        Some(side) => (side, Birth::Inside),
        None => (fork(0).map_err(StartError::Spawn)?, Birth::Outside),
    };
    match side {
        Side::Parent(pid) => {
            drop(theirs);
            Ok(pid)
        }
        Side::Child => {
            let theirs = theirs.into_fd();
            if occupy_standard(&theirs).is_err() {
                crate::fork::exit(3);
            }
            clear_environment();
            // SAFETY: `occupy_standard` made number 0 the control channel and closed every other owner of it.
            let control = unsafe { std::os::fd::FromRawFd::from_raw_fd(0) };
            init::run_born(birth, control, jobs)
        }
    }
}

/// Number 0 becomes control, 1 and 2 lead nowhere, everything else is closed.
fn occupy_standard(control: &OwnedFd) -> io::Result<()> {
    let control = rustix::io::fcntl_dupfd_cloexec(control, 3)?;
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())?;
    let high = rustix::io::fcntl_dupfd_cloexec(&null, 3)?;
    // All of these are closed by number below; a value that closed its number again would end the process.
    let (control, _null, high) = (ManuallyDrop::new(control), ManuallyDrop::new(null), ManuallyDrop::new(high));
    descriptors::place(&control, 0)?;
    descriptors::place(&high, 1)?;
    descriptors::place(&high, 2)?;
    descriptors::close_range(3, u32::MAX);
    Ok(())
}

fn clear_environment() {
    // SAFETY: this process has one thread, so nobody reads the environment meanwhile.
    unsafe { libc::clearenv() };
}

#[expect(clippy::disallowed_methods, reason = "the one place that starts init")]
fn spawn(executable: &std::path::Path, control: Channel) -> Result<Pid, StartError> {
    // No pre-exec closure: std takes the posix_spawn path, which costs nothing however large this process is.
    let child = Command::new(executable)
        .arg("init")
        .env_clear()
        .stdin(Stdio::from(control.into_fd()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(StartError::Spawn)?;
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| StartError::Spawn(io::ErrorKind::InvalidData.into()))
}
