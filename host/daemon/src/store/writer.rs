//! The one thread that writes. What waits while it commits goes into the next commit together.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::StoreError;

/// Writes in one commit at most. A bound on how long the first of a batch waits for the others.
pub(super) const BATCH: usize = 256;

/// What to do after the commit, with the reason when there was none.
type Then = Box<dyn FnOnce(Result<(), String>) + Send>;
/// Runs in a savepoint; says whether to keep what it did.
type Job = Box<dyn FnOnce(&Connection) -> (bool, Then) + Send>;

pub(super) struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`StoreError::Writer`].
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || work(connection, &queue))
            .map_err(StoreError::Writer)?;
        Ok(Writer { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `work` inside the next commit and answers after it. An error of `work` undoes what it did and nothing else.
    ///
    /// `announce` runs on the writer's thread right after the commit, in commit order: what must be seen in order goes
    /// there.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        announce: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = work(connection);
            let keep = result.is_ok();
            let then: Then = Box::new(move |committed| {
                let result = match (result, committed) {
                    (Ok(value), Ok(())) => {
                        announce(&value);
                        Ok(value)
                    }
                    (Ok(_), Err(reason)) => Err(StoreError::Commit(reason)),
                    (Err(error), _) => Err(error),
                };
                // Nobody waits when the asker was cancelled; what was committed stays committed.
                let _ = reply.send(result);
            });
            (keep, then)
        });
        self.jobs.as_ref().ok_or(StoreError::Closed)?.send(job).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // The queue is worked off first: what was asked for is stored even when nobody waits for the answer.
            let _ = thread.join();
        }
    }
}

fn work(mut connection: Connection, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let batch = std::iter::once(first).chain(queue.try_iter()).take(BATCH);
        let mut after = Vec::new();
        let committed = commit(&mut connection, batch, &mut after).map_err(|error| error.to_string());
        for then in after {
            then(committed.clone());
        }
    }
}

fn commit(
    connection: &mut Connection,
    batch: impl Iterator<Item = Job>,
    after: &mut Vec<Then>,
) -> Result<(), rusqlite::Error> {
    let mut transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for job in batch {
        let savepoint = transaction.savepoint()?;
        let (keep, then) = job(&savepoint);
        after.push(then);
        if keep { savepoint.commit()? } else { savepoint.finish()? }
    }
    transaction.commit()
}
