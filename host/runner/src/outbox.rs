//! The one way of reports to the trusted half: events and journal entries, in the order in which they were made.
//!
//! One task sends; what waits for it is bounded, so that a slow trusted half slows the loop down instead of filling
//! memory. Events that wait travel together, and with the entries that follow them.

use stigmer_agent::{CancellationToken, JournalError};
use stigmer_proto::runner::{AppendRequest, Entry, EventDraft, EventsRequest};
use tokio::sync::{mpsc, oneshot};
use tonic::{Code, Status};

use crate::rpc::Rpc;

/// Reports that wait at most.
const WAITING: usize = 128;
/// Events in one message.
const BATCH: usize = 128;
/// Bytes of events in one message; entries take at most as much again.
const BATCH_BYTES: usize = 256 << 10;

enum Report {
    Event(EventDraft),
    Commit(Vec<Entry>, oneshot::Sender<Result<(), JournalError>>),
    /// Everything before it was sent.
    Flush(oneshot::Sender<()>),
}

/// Takes reports. Clones share the way.
#[derive(Clone)]
pub(crate) struct Outbox(mpsc::Sender<Report>);

impl Outbox {
    /// Starts the task that sends. A refused event fires `refused`: an execution that nobody can follow must not go on.
    pub(crate) fn start(rpc: Rpc, refused: CancellationToken) -> Outbox {
        let (sender, reports) = mpsc::channel(WAITING);
        tokio::spawn(Sending { rpc, events: Vec::new(), bytes: 0, failed: None, refused }.run(reports));
        Outbox(sender)
    }

    /// Takes an event; returns as soon as there is room for it.
    pub(crate) async fn event(&self, draft: EventDraft) {
        // The task ends with the last sender, or with the process.
        let _ = self.0.send(Report::Event(draft)).await;
    }

    /// Stores entries after all that was reported before, and returns once they are safe.
    pub(crate) async fn commit(&self, entries: Vec<Entry>) -> Result<(), JournalError> {
        let (done, committed) = oneshot::channel();
        let gone = || JournalError::Lost("nothing is sent any more".to_owned());
        self.0.send(Report::Commit(entries, done)).await.map_err(|_| gone())?;
        committed.await.map_err(|_| gone())?
    }

    /// Returns once everything before was sent.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.0.send(Report::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

struct Sending {
    rpc: Rpc,
    events: Vec<EventDraft>,
    bytes: usize,
    /// Why an event was not taken; then no entry is, either.
    failed: Option<JournalError>,
    refused: CancellationToken,
}

impl Sending {
    async fn run(mut self, mut reports: mpsc::Receiver<Report>) {
        let mut taken = Vec::with_capacity(BATCH);
        while reports.recv_many(&mut taken, BATCH).await > 0 {
            for report in taken.drain(..) {
                match report {
                    Report::Event(draft) => {
                        if self.events.len() == BATCH || self.bytes + draft.body.len() > BATCH_BYTES {
                            self.send_events().await;
                        }
                        self.bytes += draft.body.len();
                        self.events.push(draft);
                    }
                    // Whoever waited may have been cancelled.
                    Report::Commit(entries, done) => drop(done.send(self.commit(entries).await)),
                    Report::Flush(done) => {
                        self.send_events().await;
                        let _ = done.send(());
                    }
                }
            }
            self.send_events().await;
        }
    }

    async fn commit(&mut self, entries: Vec<Entry>) -> Result<(), JournalError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        self.bytes = 0;
        let request = AppendRequest { entries, events: std::mem::take(&mut self.events) };
        let count = request.entries.len();
        match self.rpc.runner().append(request).await {
            Ok(reply) if reply.get_ref().seqs.len() == count => Ok(()),
            Ok(_) => Err(JournalError::Refused("not every entry got its number".to_owned())),
            Err(status) => Err(failure(&status)),
        }
    }

    async fn send_events(&mut self) {
        self.bytes = 0;
        let events = std::mem::take(&mut self.events);
        if events.is_empty() || self.failed.is_some() {
            return;
        }
        if let Err(status) = self.rpc.runner().events(EventsRequest { events }).await {
            self.failed = Some(failure(&status));
            self.refused.cancel();
        }
    }
}

fn failure(status: &Status) -> JournalError {
    let message = status.message().to_owned();
    match status.code() {
        Code::FailedPrecondition | Code::ResourceExhausted | Code::InvalidArgument => JournalError::Refused(message),
        _ => JournalError::Lost(message),
    }
}
