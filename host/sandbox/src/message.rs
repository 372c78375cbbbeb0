//! What travels over *control* (trusted half ⇄ init) and *work* (runner ⇄ init).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stigmer_policy::Level;

use crate::jail::plan::Plan;

/// Names one command within an execution. Chosen by whoever starts it.
pub type CallId = u64;

/// How init treats commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandMode {
    /// Starts what it is asked to start.
    Free,
    /// Starts only a call that the trusted half released, with exactly the released arguments.
    Released,
}

/// First message on *control*: all that init needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// Mounts, file rules, limits.
    pub plan: Plan,
    /// Whether commands need a release.
    pub mode: CommandMode,
    /// Whether a runner is started; its *rpc* stream and code follow as descriptors.
    pub runner: Option<RunnerSetup>,
    /// Whether init keeps a stage ready for the next command: a process more, and a start that is half as long.
    pub spare: bool,
    /// Layers to leave out; only ever non-empty when `doctor`'s own test asks which probe notices.
    pub left_out: Vec<stigmer_policy::Layer>,
}

/// What a runner is started with. Descriptors on [`Setup`], in this order: the executable, *rpc*, then each code memfd.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunnerSetup {
    /// Arguments of the runner, the program's name first.
    pub argv: Vec<Vec<u8>>,
    /// Environment of the runner.
    pub env: Vec<Vec<u8>>,
    /// How many code descriptors follow.
    pub code: u32,
}

/// One command to start. Its stdin, stdout and stderr come as three descriptors with the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandSpec {
    /// Program and arguments. A program without a slash is looked up in the PATH of `env`.
    pub argv: Vec<Vec<u8>>,
    /// Whole environment, `NAME=value`.
    pub env: Vec<Vec<u8>>,
    /// Working directory, as the command sees it.
    pub cwd: Vec<u8>,
    /// Wall time after which the whole tree is ended; `None`: no bound.
    pub timeout: Option<Duration>,
}

impl CommandSpec {
    /// What a release names: SHA-256 over the whole spec as it travels.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        use sha2::Digest;
        // Serialising bytes and numbers into memory has no way to fail.
        let bytes = postcard::to_stdvec(self).unwrap_or_default();
        sha2::Sha256::digest(bytes).into()
    }
}

/// To init, over either channel. *work* may send only `Start`, `Signal` and `Kill`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ToInit {
    /// First message on *control*.
    Setup(Box<Setup>),
    /// Start a command.
    Start(CallId, CommandSpec),
    /// Run a verb over files in a confined process of its own; *control* only.
    Job(CallId, Job),
    /// Pass a signal on to a command's process group.
    Signal(CallId, i32),
    /// End a command's whole tree.
    Kill(CallId),
    /// Allow one call with exactly this digest of its spec; *control* only.
    Release(CallId, [u8; 32]),
    /// End all commands and start the runner anew; *rpc* and code come as descriptors; *control* only.
    RestartRunner,
    /// End everything.
    Stop,
}

/// Work for a confined process that runs our own code, without exec: its stdin, stdout and stderr come as descriptors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// Names the work in the table that was given to [`crate::init::run`].
    pub name: String,
    /// Arguments for it.
    pub arguments: Vec<Vec<u8>>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Its time was up; the tree was ended.
    TimedOut,
    /// It was ended on request.
    Killed,
    /// The stage that watched it died; the tree was ended by init.
    Lost,
}

/// A process that outlived its command and was ended with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaped {
    /// Its id as the command's own `ps` would show it.
    pub pid: i32,
    /// Its name (`comm`, at most 15 bytes).
    pub name: String,
}

/// Something that the walls undid after a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The protected path.
    pub path: String,
    /// What was done.
    pub action: RestoreAction,
}

/// What was done to a protected path after a command had changed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestoreAction {
    /// Its former content was put back.
    PutBack,
    /// It is new and was moved to this name.
    Quarantined(String),
    /// It could be neither put back nor moved, for this reason.
    Failed(String),
}

/// Result of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandReport {
    /// How it ended.
    pub ended: Ended,
    /// Processes that outlived it, at most [`MAX_REAPED`] of them.
    pub reaped: Vec<Reaped>,
    /// How many there were in all.
    pub reaped_total: u32,
    /// Protected paths that it changed.
    pub restored: Vec<Restored>,
}

/// Most processes named in a report.
pub const MAX_REAPED: usize = 32;

/// From init.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum FromInit {
    /// The jail stands. Sent once, on *control*.
    Ready {
        /// The level that stands.
        level: Level,
        /// Repositories and protected paths that were found and anchored, as text.
        anchored: Vec<String>,
        /// The search for them stopped at its bound.
        partial: bool,
    },
    /// The jail could not be made. The tree is gone after this. Sent on *control*.
    Failed(SetupFailure),
    /// A command was started; its pid in init's own pid namespace.
    Started(CallId),
    /// A command could not be started.
    NotStarted(CallId, StartFailure),
    /// A command ended; its whole tree is gone.
    Ended(CallId, CommandReport),
    /// The runner ended with this wait status. Sent on *control*.
    RunnerEnded(Ended),
    /// Protected paths that commands changed which nobody was told the end of. Sent on *control*.
    Restored(Vec<Restored>),
}

/// Which step of making the jail failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("could not {step}")]
pub struct SetupFailure {
    /// The step, in words: `make a user namespace`.
    pub step: String,
    /// What it was done on.
    pub subject: Option<String>,
    /// The kernel's errno; 0 when it was our own check.
    pub errno: i32,
    /// The layer that this step builds.
    pub layer: Option<stigmer_policy::Layer>,
}

/// Why a command was not started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum StartFailure {
    /// No such program.
    #[error("`{0}`: command not found")]
    NotFound(String),
    /// The program cannot be executed.
    #[error("`{program}` cannot be executed")]
    CannotExecute {
        /// As it was asked for.
        program: String,
        /// The kernel's errno.
        errno: i32,
    },
    /// The working directory cannot be entered.
    #[error("cannot enter the working directory `{0}`")]
    Directory(String),
    /// One argument is longer than the kernel takes (131,071 bytes on Linux).
    #[error("argument {index} has {bytes} bytes; one argument can have at most {MAX_ARGUMENT}")]
    ArgumentTooLong {
        /// Position, 0 is the program.
        index: usize,
        /// Its length.
        bytes: usize,
    },
    /// All arguments together are longer than the kernel takes.
    #[error("the arguments and environment together are too long")]
    ArgumentsTooLong,
    /// A descriptor that must not enter the jail: a directory, or one opened for its path alone.
    #[error("{stream} is {what}, which cannot enter the jail")]
    Descriptor {
        /// `stdin`, `stdout` or `stderr`.
        stream: String,
        /// What it is.
        what: String,
    },
    /// No person released this call.
    #[error("call {0} was not released")]
    NotReleased(CallId),
    /// A kernel step failed.
    #[error("could not {step}")]
    Step {
        /// The step, in words.
        step: String,
        /// The kernel's errno.
        errno: i32,
    },
}

/// Longest single argument, in bytes: `MAX_ARG_STRLEN` less its NUL (execve(2)).
pub const MAX_ARGUMENT: usize = 131_071;
