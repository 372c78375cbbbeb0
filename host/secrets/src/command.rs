//! A command of the person's that prints a secret, as git credential helpers do: `pass`, `op`, `age`, `systemd-creds`.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::name::SecretName;
use crate::value::{MAX_VALUE, SecretValue, SecretValueError};

/// How long the command may take. A person may have to type a passphrase meanwhile.
pub const COMMAND_TIME: Duration = Duration::from_secs(60);

/// Environment that the command gets, from what the caller offers: what password managers and their agents need, and no
/// variable in which a key is usually kept.
pub const ENVIRONMENT: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TERM",
    "TZ",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSH_AUTH_SOCK",
    "GNUPGHOME",
    "GPG_TTY",
    "PASSWORD_STORE_DIR",
    "CREDENTIALS_DIRECTORY",
];

/// Stands for the secret's name in the command's arguments.
const NAME: &str = "{name}";

/// Bytes of the command's error output that an error shows.
const STDERR_SHOWN: usize = 400;

/// How often an ended output is checked for an ended command: the output usually ends with it.
const POLL: Duration = Duration::from_millis(2);

/// `secret_command` of the configuration: program and arguments, no shell. `{name}` in an argument becomes the secret's
/// name. It prints the secret as one line on stdout and exits 0.
#[derive(Debug, Clone)]
pub struct SecretCommand {
    argv: Vec<String>,
    environment: Vec<(&'static str, OsString)>,
    time: Duration,
}

/// Why the command gave no secret. Never holds its stdout.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretCommandError {
    /// The configuration names no program.
    #[error("`secret_command` names no program")]
    Empty,
    /// It could not be started.
    #[error("could not start `secret_command` `{program}`")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ran longer than allowed; its process group was killed.
    #[error("`secret_command` `{program}` did not end within {limit:?}")]
    Timeout {
        /// The program.
        program: String,
        /// The limit.
        limit: Duration,
    },
    /// It failed.
    #[error("`secret_command` `{program}` failed with {status}: {stderr}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The first line of its error output, shortened.
        stderr: String,
    },
    /// It printed nothing, more than one line, or something that is not text.
    #[error("`secret_command` `{program}` did not print one line of text")]
    NotOneLine {
        /// The program.
        program: String,
    },
    /// Its line cannot be a secret.
    #[error("the line that `secret_command` `{program}` printed is unusable")]
    Value {
        /// The program.
        program: String,
        /// Why.
        source: SecretValueError,
    },
    /// Its end or output could not be read.
    #[error("could not follow `secret_command` `{program}`")]
    Follow {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
}

impl SecretCommand {
    /// A command; `environment` says the values of the variables in [`ENVIRONMENT`].
    ///
    /// # Errors
    /// [`SecretCommandError::Empty`].
    pub fn new(argv: Vec<String>, environment: impl Fn(&str) -> Option<OsString>) -> Result<Self, SecretCommandError> {
        if argv.first().is_none_or(String::is_empty) {
            return Err(SecretCommandError::Empty);
        }
        let environment = ENVIRONMENT.iter().filter_map(|name| Some((*name, environment(name)?))).collect();
        Ok(SecretCommand { argv, environment, time: COMMAND_TIME })
    }

    /// The same with another time limit.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Runs it and takes the line. Blocks up to the time limit.
    ///
    /// # Errors
    /// [`SecretCommandError`].
    pub fn run(&self, name: &SecretName) -> Result<SecretValue, SecretCommandError> {
        let deadline = Instant::now() + self.time;
        let program = || self.argv[0].clone();
        let child = self.start(name).map_err(|source| SecretCommandError::Start { program: program(), source })?;
        let mut child = Guard { child, reaped: false };
        let out = child.child.stdout.take().map(|pipe| collect(pipe, MAX_VALUE + 2));
        let err = child.child.stderr.take().map(|pipe| collect(pipe, STDERR_SHOWN));
        let timeout = || SecretCommandError::Timeout { program: program(), limit: self.time };
        let follow = |source| SecretCommandError::Follow { program: program(), source };
        let printed = take(out, deadline).ok_or_else(timeout)?.map_err(follow)?;
        let status = loop {
            if let Some(status) = child.child.try_wait().map_err(follow)? {
                child.reaped = true;
                break status;
            }
            if Instant::now() >= deadline {
                return Err(timeout());
            }
            std::thread::sleep(POLL);
        };
        if !status.success() {
            let said = take(err, deadline).and_then(Result::ok).unwrap_or_default();
            let stderr = String::from_utf8_lossy(&said).lines().next().unwrap_or("no message").to_owned();
            return Err(SecretCommandError::Failed { program: program(), status, stderr });
        }
        let line = one_line(&printed).ok_or_else(|| SecretCommandError::NotOneLine { program: program() })?;
        SecretValue::new(line).map_err(|source| SecretCommandError::Value { program: program(), source })
    }

    #[expect(clippy::disallowed_methods, reason = "the person's own helper runs outside any jail: it holds the key")]
    fn start(&self, name: &SecretName) -> std::io::Result<Child> {
        Command::new(&self.argv[0])
            .args(self.argv[1..].iter().map(|argument| argument.replace(NAME, name.as_str())))
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that what it starts can be ended with it.
            .process_group(0)
            .spawn()
    }
}

/// Ends the whole group on every way out but a normal end (an agent that the command started may stay), and reaps.
struct Guard {
    child: Child,
    /// Once reaped, the group's number may belong to others.
    reaped: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let group = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let (false, Some(group)) = (self.reaped, group) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

type Collected = std::io::Result<Zeroizing<Vec<u8>>>;

/// Reads up to `cap` bytes in a thread, and lets the rest pass unread so that the writer does not block.
fn collect(mut pipe: impl std::io::Read + Send + 'static, cap: usize) -> Receiver<Collected> {
    let (send, receive) = sync_channel(1);
    std::thread::spawn(move || {
        // Reserved once, so that no copy of the secret stays behind in memory that was grown out of.
        let mut bytes = Zeroizing::new(Vec::with_capacity(cap));
        let read = pipe.by_ref().take(cap as u64).read_to_end(&mut bytes);
        let rest = read.and_then(|_| std::io::copy(&mut pipe, &mut std::io::sink()));
        drop(send.send(rest.map(|_| bytes)));
    });
    receive
}

fn take(from: Option<Receiver<Collected>>, deadline: Instant) -> Option<Collected> {
    from?.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
}

/// The one line of text, without its end.
fn one_line(printed: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(printed).ok()?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    (!line.is_empty() && !line.contains(['\n', '\r'])).then_some(line)
}

#[cfg(test)]
mod tests;
