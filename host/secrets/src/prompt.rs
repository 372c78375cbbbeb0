//! Asking the person.

mod line;
mod quiet;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;

use line::{Key, Line};
use quiet::Quiet;

use crate::name::SecretName;
use crate::value::{SecretValue, SecretValueError};

/// Why no secret was typed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// Nobody to ask: no controlling terminal.
    #[error("no terminal to ask for `{name}` on")]
    NoTerminal {
        /// The secret.
        name: SecretName,
    },
    /// Ctrl-D on an empty line, or a signal that did not end the process. (Ctrl-C raises SIGINT, as it does elsewhere.)
    #[error("the question for `{name}` was broken off")]
    Cancelled {
        /// The secret.
        name: SecretName,
    },
    /// What was typed cannot be a secret.
    #[error("what was typed for `{name}` is unusable")]
    Value {
        /// The secret.
        name: SecretName,
        /// Why.
        source: SecretValueError,
    },
    /// The terminal failed.
    #[error("could not ask for `{name}` on `{terminal}`")]
    Terminal {
        /// The secret.
        name: SecretName,
        /// The terminal's path.
        terminal: String,
        /// Why.
        source: std::io::Error,
    },
}

impl PromptError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            PromptError::NoTerminal { name } => Some(format!(
                "set the provider's environment variable, run `stigmer secret set {name}` at a terminal, or configure \
                 `secret_command`"
            )),
            _ => None,
        }
    }
}

/// Someone who can be asked for a secret.
pub trait Ask {
    /// Asks once, blocking.
    ///
    /// # Errors
    /// [`PromptError`].
    fn ask(&self, name: &SecretName, question: &str) -> Result<SecretValue, PromptError>;
}

/// Signals that are held back from the process while a question is open. Given back when dropped.
pub trait Held {
    /// Becomes readable when one has arrived.
    fn fd(&self) -> BorrowedFd<'_>;
    /// Numbers of those that have arrived.
    fn take(&self) -> Vec<i32>;
}

/// Holds signals back from the whole process.
pub type Hold = fn(&[i32]) -> io::Result<Box<dyn Held>>;

/// What would end or stop the process while its terminal is quiet, and what says that it was stopped all the same.
const HELD: [Signal; 6] = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::TSTP, Signal::CONT];

/// The controlling terminal: question and answer go there even when stdin and stdout are pipes. What is typed is shown
/// as `*`.
///
/// The terminal is quiet before the question stands there, and is as it was before this returns, or the process ends or
/// stops by a signal that can be caught. What was typed before the question was shown by the terminal itself: it is not
/// taken for the answer, and that is said.
#[derive(Debug, Clone)]
pub struct Terminal {
    path: PathBuf,
    hold: Hold,
}

impl Terminal {
    /// The controlling terminal.
    #[must_use]
    pub fn of_process(hold: Hold) -> Self {
        Terminal::at("/dev/tty", hold)
    }

    /// Another terminal device.
    #[must_use]
    pub fn at(path: impl AsRef<Path>, hold: Hold) -> Self {
        Terminal { path: path.as_ref().to_owned(), hold }
    }

    fn open(&self, name: &SecretName) -> Result<OwnedFd, PromptError> {
        use rustix::fs::{Mode, OFlags};
        use rustix::io::Errno;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::open(&self.path, flags, Mode::empty()).map_err(|errno| match errno {
            // ENXIO: the process has no controlling terminal (tty(4)).
            Errno::NXIO | Errno::NOENT | Errno::ACCESS => PromptError::NoTerminal { name: name.clone() },
            errno => self.failed(name, errno.into()),
        })
    }

    fn failed(&self, name: &SecretName, source: io::Error) -> PromptError {
        PromptError::Terminal { name: name.clone(), terminal: self.path.to_string_lossy().into_owned(), source }
    }

    /// One question, until it is answered or a signal arrives that must have the terminal as it was.
    fn once(&self, tty: &OwnedFd, question: &str) -> io::Result<Asked> {
        let numbers = HELD.map(Signal::as_raw);
        // Dropped after the terminal is as it was: locals go in the reverse of this order.
        let held = (self.hold)(&numbers)?;
        let quiet = Quiet::begin(tty.as_fd())?;
        if quiet.dropped {
            print(tty, "what was typed before the question was shown, and is not taken\n")?;
        }
        print(tty, &format!("{question}: "))?;
        let mut line = Line::default();
        let mut piece = zeroize::Zeroizing::new([0_u8; 256]);
        loop {
            let mut fds = [PollFd::new(tty, PollFlags::IN), PollFd::from_borrowed_fd(held.fd(), PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let (typed, signalled) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
            for number in if signalled { held.take() } else { Vec::new() } {
                if number == Signal::CONT.as_raw() {
                    // Stopped by what cannot be caught; whoever had the terminal meanwhile may have changed it.
                    quiet.again()?;
                    print(tty, &format!("\n{question}: {}", "*".repeat(line.chars())))?;
                } else {
                    drop(quiet);
                    print(tty, "\n")?;
                    return Ok(Asked::Signal(number));
                }
            }
            if !typed {
                continue;
            }
            let count = rustix::io::read(tty, piece.as_mut_slice())?;
            if count == 0 {
                return Ok(Asked::Broken);
            }
            for byte in &piece[..count] {
                match line.take(*byte) {
                    Key::Shown(text) => print(tty, &text)?,
                    Key::Nothing => {}
                    Key::End => {
                        print(tty, "\n")?;
                        return Ok(Asked::Line(line));
                    }
                    Key::Broken => {
                        print(tty, "\n")?;
                        return Ok(Asked::Broken);
                    }
                }
            }
        }
    }
}

enum Asked {
    Line(Line),
    Broken,
    /// The terminal is as it was, and the signal's own action is in place again.
    Signal(i32),
}

impl Ask for Terminal {
    fn ask(&self, name: &SecretName, question: &str) -> Result<SecretValue, PromptError> {
        let tty = self.open(name)?;
        loop {
            match self.once(&tty, question).map_err(|source| self.failed(name, source))? {
                Asked::Line(line) => {
                    return line.value().map_err(|source| PromptError::Value { name: name.clone(), source });
                }
                Asked::Broken => return Err(PromptError::Cancelled { name: name.clone() }),
                Asked::Signal(number) => {
                    let signal = Signal::from_named_raw(number);
                    // What it would have done at once: the process ends or stops here, unless it ignores the signal.
                    signal
                        .map_or(Ok(()), |signal| rustix::process::kill_process(rustix::process::getpid(), signal))
                        .map_err(|errno| self.failed(name, errno.into()))?;
                    if signal != Some(Signal::TSTP) {
                        return Err(PromptError::Cancelled { name: name.clone() });
                    }
                }
            }
        }
    }
}

fn print(tty: &OwnedFd, text: &str) -> io::Result<()> {
    let mut bytes = text.as_bytes();
    while !bytes.is_empty() {
        match rustix::io::write(tty, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
