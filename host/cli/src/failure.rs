//! How a command line ends when it does not end well: words on stderr, an exit code that says whose fault it was.

use std::process::ExitCode;

use crate::printer::Printer;

/// The thing ran and failed, or was denied.
pub(crate) const SAID_NO: u8 = 1;
/// Wrong usage.
pub(crate) const USAGE: u8 = 2;
/// Our own failure.
pub(crate) const OURS: u8 = 3;

/// An error with its exit code and, where there is one, advice.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// The thing ran and failed, or was denied.
    pub(crate) fn said_no(error: impl Into<anyhow::Error>) -> Failure {
        Failure { error: error.into(), hint: None, code: SAID_NO }
    }

    /// The person asked for something that makes no sense.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Failure {
        Failure { error: error.into(), hint: None, code: USAGE }
    }

    /// Something of ours, or of this machine, failed.
    pub(crate) fn ours(error: impl Into<anyhow::Error>) -> Failure {
        Failure { error: error.into(), hint: None, code: OURS }
    }

    /// Adds advice.
    pub(crate) fn hint(mut self, hint: Option<String>) -> Failure {
        self.hint = hint.or(self.hint);
        self
    }

    /// Adds advice where there is none.
    pub(crate) fn hint_or(mut self, hint: impl FnOnce() -> Option<String>) -> Failure {
        self.hint = self.hint.or_else(hint);
        self
    }

    /// Prints the chain and the advice; gives the exit code.
    pub(crate) fn print(&self, printer: &Printer) -> ExitCode {
        printer.error(format_args!("{:#}", self.error));
        if let Some(hint) = &self.hint {
            printer.hint(format_args!("{hint}"));
        }
        ExitCode::from(self.code)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::ours(error)
    }
}

/// Prints what clap has to say: help and version end well, everything else is usage.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
    // A reader that has gone away has seen enough.
    let _ = error.print();
    let exec = || std::env::args_os().skip(1).take(2).eq(["sandbox", "exec"]);
    if error.kind() == clap::error::ErrorKind::UnknownArgument && exec() {
        Printer::new().hint(format_args!("the command follows `--`: `stigmer sandbox exec -- ls -l`"));
    }
    code
}
