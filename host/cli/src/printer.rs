//! The only thing that writes to a terminal.

use std::fmt::Arguments;
use std::io::Write;

/// Writes lines for people to stdout and stderr; colour only where there is a terminal that wants it.
#[derive(Debug)]
pub(crate) struct Printer {}

impl Printer {
    pub(crate) fn new() -> Printer {
        Printer {}
    }

    /// One line of result. A closed pipe is no error: the reader has seen enough.
    pub(crate) fn line(&self, text: Arguments<'_>) {
        let _ = writeln!(anstream::stdout(), "{text}");
    }

    /// Bytes of result, unchanged.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> std::io::Result<()> {
        std::io::stdout().write_all(bytes)
    }

    /// Something that went wrong.
    pub(crate) fn error(&self, text: Arguments<'_>) {
        let _ = writeln!(anstream::stderr(), "\x1b[1;31merror\x1b[0m: {text}");
    }

    /// Something that a person should know though nothing failed.
    pub(crate) fn note(&self, text: Arguments<'_>) {
        let _ = writeln!(anstream::stderr(), "\x1b[1;33mnote\x1b[0m: {text}");
    }

    /// What to do about it.
    pub(crate) fn hint(&self, text: Arguments<'_>) {
        let _ = writeln!(anstream::stderr(), "\x1b[1;36mhint\x1b[0m: {text}");
    }
}
