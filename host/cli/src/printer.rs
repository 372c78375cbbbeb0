//! The only thing that writes to a terminal.

use std::fmt::Arguments;
use std::io::{BufRead, IsTerminal, Write};

/// Writes lines for people to stdout and stderr; colour only where there is a terminal that wants it.
#[derive(Debug, Clone)]
pub(crate) struct Printer {
    /// stdout is a terminal: what stands beside a result is written there too.
    together: bool,
}

impl Printer {
    pub(crate) fn new() -> Printer {
        Printer { together: std::io::stdout().is_terminal() }
    }

    /// One line of result. A closed pipe is no error: the reader has seen enough.
    pub(crate) fn line(&self, text: Arguments<'_>) {
        let _ = writeln!(anstream::stdout(), "{text}");
    }

    /// Text of result as it comes, shown at once.
    pub(crate) fn text(&self, text: &str) {
        let mut out = anstream::stdout();
        let _ = write!(out, "{text}").and_then(|()| out.flush());
    }

    /// One line that goes along with a result: on a terminal in its place, else on stderr.
    pub(crate) fn side(&self, text: Arguments<'_>) {
        if self.together {
            self.line(text);
        } else {
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    /// One JSON value on a line, written at once.
    pub(crate) fn json(&self, value: &serde_json::Value) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{value}").and_then(|()| out.flush());
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

    /// Puts a question that is answered with yes or no.
    pub(crate) fn question(&self, question: &str) {
        let mut out = anstream::stderr();
        let _ = write!(out, "{question} [y/N] ").and_then(|()| out.flush());
    }

    /// Ends the line of a question that nobody here answers any more.
    pub(crate) fn question_is_over(&self) {
        let _ = writeln!(anstream::stderr());
    }

    /// The person's next answer; anything but yes is no. `None` when nobody is there any more. Blocks.
    pub(crate) fn answer(&self) -> Option<bool> {
        let mut answer = String::new();
        match std::io::stdin().lock().read_line(&mut answer) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")),
        }
    }

    /// Asks a person a question that is answered with yes or no; anything but yes is no. Blocks.
    pub(crate) fn confirm(&self, question: &str) -> bool {
        self.question(question);
        self.answer().unwrap_or(false)
    }
}
