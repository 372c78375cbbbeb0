//! Questions to the person at the terminal, one at a time. They may be answered from elsewhere meanwhile.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::text::clean;
use crate::printer::Printer;

/// A question is put once nothing else was said for this long: what comes in a row, or was answered long ago, is not torn
/// apart by it.
const QUIET: Duration = Duration::from_millis(50);

/// What waits for the person.
pub(super) struct Asking<'a> {
    printer: &'a Printer,
    /// Calls and what they would do, oldest first. The first one is asked about.
    waiting: VecDeque<(String, String)>,
    /// The first one's question stands on the screen.
    stands: bool,
    due: Instant,
    lines: Option<mpsc::UnboundedReceiver<bool>>,
}

impl<'a> Asking<'a> {
    pub(super) fn new(printer: &'a Printer) -> Self {
        Asking { printer, waiting: VecDeque::new(), stands: false, due: Instant::now(), lines: None }
    }

    /// Asks, once the questions before are answered.
    pub(super) fn ask(&mut self, call: &str, summary: &str) {
        self.waiting.push_back((call.to_owned(), summary.to_owned()));
    }

    /// A call was answered, here or elsewhere.
    pub(super) fn answered(&mut self, call: &str) {
        self.waiting.retain(|(waiting, _)| waiting != call);
    }

    /// Makes room for something else to be said; the question is put once more after it.
    pub(super) fn step_aside(&mut self) {
        if std::mem::take(&mut self.stands) {
            self.printer.question_is_over();
        }
        self.due = Instant::now() + QUIET;
    }

    /// Puts the question that is due, and gives the person's answer. May be dropped and called again.
    pub(super) async fn answer(&mut self) -> (String, bool) {
        let Some((_, summary)) = self.waiting.front() else { return std::future::pending().await };
        let lines = self.lines.get_or_insert_with(|| read_lines(self.printer.clone()));
        if !self.stands {
            tokio::time::sleep_until(self.due).await;
            // What was typed before the question is no answer to it.
            while lines.try_recv().is_ok() {}
            self.printer.question(&format!("Run `{}`?", clean(summary)));
            self.stands = true;
        }
        // Nobody is there any more: no.
        let yes = lines.recv().await.unwrap_or(false);
        self.stands = false;
        (self.waiting.pop_front().map(|(call, _)| call).unwrap_or_default(), yes)
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
