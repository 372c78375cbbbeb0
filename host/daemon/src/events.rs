//! Following an execution: replay, then live, each event once and in order.
//!
//! A follower owns no queue. It is told only *how far* the store has committed and reads the rest from there, so a slow
//! one costs nothing, and a fast one reads what was committed a moment ago.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::id::ExecutionId;
use crate::store::{Store, StoreError, StoredEvent};

/// Tells followers how far each execution has come. Holds an entry only for executions that somebody follows.
#[derive(Debug, Default)]
pub struct Publisher {
    followed: Mutex<HashMap<ExecutionId, watch::Sender<u64>>>,
}

impl Publisher {
    /// Called by the store after each commit, in commit order.
    pub(crate) fn committed(&self, execution: &ExecutionId, seq: u64) {
        let followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = followed.get(execution) {
            sender.send_if_modified(|last| {
                let grown = seq > *last;
                *last = seq.max(*last);
                grown
            });
        }
    }

    fn subscribe(&self, execution: &ExecutionId) -> watch::Receiver<u64> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.entry(execution.clone()).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    fn forget(&self, execution: &ExecutionId, receiver: Option<watch::Receiver<u64>>) {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        drop(receiver);
        if followed.get(execution).is_some_and(|sender| sender.receiver_count() == 0) {
            followed.remove(execution);
        }
    }
}

/// Reads the events of one execution, from a point on, for as long as it lives.
pub struct Follower {
    store: Arc<Store>,
    execution: ExecutionId,
    progress: Option<watch::Receiver<u64>>,
    after: u64,
    page: VecDeque<StoredEvent>,
    ended: bool,
}

impl Follower {
    /// Begins after the event `after`; 0: at the first.
    ///
    /// # Errors
    /// [`StoreError::NoExecution`].
    pub async fn start(store: Arc<Store>, execution: ExecutionId, after: u64) -> Result<Self, StoreError> {
        // First the subscription, then the first read: what is committed in between is announced.
        let progress = Some(store.publisher().subscribe(&execution));
        let mut follower = Follower { store, execution, progress, after, page: VecDeque::new(), ended: false };
        // An ended execution that is followed from beyond its end has nothing to wait for.
        let row = follower.store.execution(&follower.execution).await?;
        let ended = row.outcome.is_some() && after >= row.last_seq;
        follower.ended = ended;
        Ok(follower)
    }

    /// The next event; waits for it. `None` after `ended`.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn next(&mut self) -> Result<Option<StoredEvent>, StoreError> {
        loop {
            if let Some(event) = self.next_stored().await? {
                return Ok(Some(event));
            }
            if self.ended {
                return Ok(None);
            }
            let after = self.after;
            let Some(progress) = &mut self.progress else { return Ok(None) };
            if progress.wait_for(|last| *last > after).await.is_err() {
                return Ok(None);
            }
        }
    }

    /// The next event that is stored already; `None` when there is none now.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn next_stored(&mut self) -> Result<Option<StoredEvent>, StoreError> {
        if self.page.is_empty() && !self.ended {
            self.page = self.store.events_after(&self.execution, self.after).await?.into();
        }
        let Some(event) = self.page.pop_front() else { return Ok(None) };
        self.after = event.seq;
        self.ended = event.event.kind == "ended";
        Ok(Some(event))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.store.publisher().forget(&self.execution, self.progress.take());
    }
}

#[cfg(test)]
mod tests;
