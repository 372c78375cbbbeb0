//! Questions to the person at the terminal, one at a time. They may be answered from elsewhere meanwhile.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::text::clean;
use crate::printer::Printer;

/// What waits for the person.
pub(super) struct Asking<'a> {
    printer: &'a Printer,
    waiting: VecDeque<(String, String)>,
    /// The call whose question stands on the screen.
    open: Option<String>,
    lines: Option<mpsc::UnboundedReceiver<bool>>,
}

impl<'a> Asking<'a> {
    pub(super) fn new(printer: &'a Printer) -> Self {
        Asking { printer, waiting: VecDeque::new(), open: None, lines: None }
    }

    /// Asks, once the questions before are answered.
    pub(super) fn ask(&mut self, call: &str, summary: &str) {
        self.waiting.push_back((call.to_owned(), summary.to_owned()));
        self.show();
    }

    /// A call was answered from elsewhere.
    pub(super) fn answered(&mut self, call: &str) {
        self.waiting.retain(|(waiting, _)| waiting != call);
        if self.open.as_deref() == Some(call) {
            self.open = None;
            self.printer.question_is_over();
        }
    }

    /// The next question, when none stands there.
    pub(super) fn show(&mut self) {
        if self.open.is_some() {
            return;
        }
        let Some((call, summary)) = self.waiting.pop_front() else { return };
        let lines = self.lines.get_or_insert_with(|| read_lines(self.printer.clone()));
        // What was typed before the question is no answer to it.
        while lines.try_recv().is_ok() {}
        self.printer.question(&format!("Run `{}`?", clean(&summary)));
        self.open = Some(call);
    }

    /// The person's answer to the question that stands there. May be dropped and called again.
    pub(super) async fn answer(&mut self) -> (String, bool) {
        match (&mut self.lines, &self.open) {
            (Some(lines), Some(_)) => {
                // Nobody is there any more: no.
                let yes = lines.recv().await.unwrap_or(false);
                (self.open.take().unwrap_or_default(), yes)
            }
            _ => std::future::pending().await,
        }
    }
}

/// Reads the terminal in a thread that nobody waits for: a read of it cannot be broken off.
fn read_lines(printer: Printer) -> mpsc::UnboundedReceiver<bool> {
    let (tell, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        while let Some(yes) = printer.answer() {
            if tell.send(yes).is_err() {
                return;
            }
        }
    });
    lines
}
