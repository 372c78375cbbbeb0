//! Asking the person.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

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
    /// Ctrl-D on an empty line. (Ctrl-C raises SIGINT, as it does elsewhere.)
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

/// The controlling terminal: question and answer go there even when stdin and stdout are pipes. What is typed is shown
/// as `*`.
#[derive(Debug, Clone)]
pub struct Terminal {
    path: PathBuf,
}

impl Default for Terminal {
    fn default() -> Self {
        Terminal { path: PathBuf::from("/dev/tty") }
    }
}

impl Terminal {
    /// Another terminal device.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Self {
        Terminal { path: path.as_ref().to_owned() }
    }
}

impl Ask for Terminal {
    fn ask(&self, name: &SecretName, question: &str) -> Result<SecretValue, PromptError> {
        let path = self.path.to_string_lossy().into_owned();
        let config = rpassword::ConfigBuilder::new()
            .input_file_path(path.clone())
            .output_file_path(path.clone())
            .password_feedback_mask('*')
            .build();
        let typed = rpassword::prompt_password_with_config(format!("{question}: "), config);
        let typed = typed.map_err(|source| match source.kind() {
            ErrorKind::Interrupted | ErrorKind::UnexpectedEof => PromptError::Cancelled { name: name.clone() },
            // ENXIO: the process has no controlling terminal (tty(4)).
            _ if matches!(rustix::io::Errno::from_io_error(&source), Some(rustix::io::Errno::NXIO))
                || matches!(source.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) =>
            {
                PromptError::NoTerminal { name: name.clone() }
            }
            _ => PromptError::Terminal { name: name.clone(), terminal: path, source },
        })?;
        SecretValue::new(typed).map_err(|source| PromptError::Value { name: name.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{AsFd, OwnedFd};

    fn pair() -> (OwnedFd, PathBuf, OwnedFd) {
        use rustix::fs::{Mode, OFlags};
        let master = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY).unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
        let path = PathBuf::from(name.to_str().unwrap());
        // Held open, so that the pair outlives the prompt and what it printed can be read afterwards.
        let slave = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        (master, path, slave)
    }

    fn read_until(master: impl AsFd, mark: &str) -> String {
        let mut seen = Vec::new();
        let mut piece = [0_u8; 256];
        while !String::from_utf8_lossy(&seen).contains(mark) {
            let got = rustix::io::read(&master, &mut piece).unwrap();
            seen.extend_from_slice(&piece[..got]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    fn type_in(keys: &str) -> (Result<SecretValue, PromptError>, String) {
        let (master, path, _slave) = pair();
        let asked = std::thread::spawn(move || {
            Terminal::at(path).ask(&SecretName::new("anthropic").unwrap(), "API key for Anthropic")
        });
        let mut seen = read_until(&master, "Anthropic: ");
        // rpassword prints the question a moment before it switches the echo off; a person takes longer to type.
        while rustix::termios::tcgetattr(&master).unwrap().local_modes.contains(rustix::termios::LocalModes::ECHO) {
            std::thread::yield_now();
        }
        rustix::io::write(&master, keys.as_bytes()).unwrap();
        let answer = asked.join().unwrap();
        rustix::io::write(&_slave, b"<end>").unwrap();
        seen += &read_until(&master, "<end>");
        (answer, seen)
    }

    #[test]
    fn what_is_typed_is_taken_and_not_shown() {
        let (answer, seen) = type_in("sk-canary\r");
        assert_eq!(answer.unwrap().expose(), "sk-canary");
        assert!(!seen.contains("canary") && seen.contains("****"), "{seen:?}");
    }

    #[test]
    fn breaking_off_and_an_empty_line_are_named() {
        assert!(matches!(type_in("\u{4}").0, Err(PromptError::Cancelled { .. })));
        assert!(matches!(type_in("\r").0, Err(PromptError::Value { source: SecretValueError::Empty, .. })));
    }

    #[test]
    fn without_a_terminal_the_error_says_what_to_do() {
        let name = SecretName::new("anthropic").unwrap();
        let error = Terminal::at("/nonexistent/tty").ask(&name, "key").unwrap_err();
        assert!(matches!(error, PromptError::NoTerminal { .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("stigmer secret set anthropic"));
    }
}
