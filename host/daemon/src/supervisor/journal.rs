//! What a runner of one execution reports, kept by the store.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryFutureExt, TryStreamExt, stream};
use tokio::sync::{mpsc, oneshot};

use super::earlier::Earlier;
use super::seam::Seam;
use super::task::Command;
use super::waiting::{Waiting, digest};
use crate::ExecutionId;
use crate::api::runner::{Journal, Question, Refusal, Replayed, RunnerDenial};
use crate::request::Approve;
use crate::store::{
    ApprovalState, BlobRef, EntryKind, NewApproval, NewEntry, NewEvent, Observer, Store, StoreError, StoredEntry,
};

/// Longest one-line account of a command, in bytes.
const MAX_SUMMARY: usize = 2_000;

pub(super) struct StoreJournal {
    pub(super) store: Arc<Store>,
    pub(super) execution: ExecutionId,
    /// Oldest first.
    pub(super) earlier: Vec<Earlier>,
    pub(super) approve: Approve,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) seam: Mutex<Seam>,
    pub(super) waiting: Waiting,
}

fn refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::Ended(_) | StoreError::NoExecution(_) => Refusal::Ended,
        StoreError::TooMuch { .. } => Refusal::TooMuch(error.to_string()),
        StoreError::Conflict(_) => Refusal::Invalid(error.to_string()),
        error => {
            tracing::error!(error = &error as &dyn std::error::Error, "could not store what a runner reports");
            Refusal::Unavailable
        }
    }
}

#[async_trait]
impl Journal for StoreJournal {
    async fn append(
        &self,
        entries: Vec<NewEntry>,
        events: Vec<NewEvent>,
        denials: Vec<RunnerDenial>,
    ) -> Result<Vec<u64>, Refusal> {
        // A runner sends its events one after the other: they come here in their order.
        let events = self.seam.lock().unwrap_or_else(PoisonError::into_inner).pass(events, || self.store.redactor());
        let seqs = if entries.is_empty() && events.is_empty() {
            Vec::new()
        } else {
            self.store.append(&self.execution, entries, events).await.map_err(refusal)?
        };
        for RunnerDenial { denial, wall, call } in denials {
            self.store.deny(&self.execution, &denial, Observer::Runner, wall, &call).await.map_err(refusal)?;
        }
        Ok(seqs)
    }

    fn replay(&self) -> BoxStream<'static, Result<Replayed, Refusal>> {
        let own = own(self.store.clone(), self.execution.clone());
        let store = self.store.clone();
        let earlier = stream::iter(self.earlier.clone()).flat_map(move |earlier| {
            let entries = pages(store.clone(), earlier.id).map_ok(Replayed::History);
            stream::iter([Ok(Replayed::Earlier(earlier.message))]).chain(entries)
        });
        earlier.chain(own).boxed()
    }

    async fn put_blob(&self, data: Bytes) -> Result<BlobRef, Refusal> {
        self.store.put_blob(&self.execution, data).await.map_err(refusal)
    }

    async fn blob(&self, sha256: [u8; 32]) -> Result<Option<Bytes>, Refusal> {
        for execution in std::iter::once(&self.execution).chain(self.earlier.iter().map(|earlier| &earlier.id)) {
            if let Some(data) = self.store.blob(execution, sha256).await.map_err(refusal)? {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    async fn ask(&self, question: Question) -> Result<Option<bool>, Refusal> {
        let new = NewApproval {
            call: question.call.clone(),
            number: question.number,
            tool: question.tool.clone(),
            summary: summary(&question),
            command: digest(&question),
        };
        // Before the person can know of it, and so before an answer.
        self.waiting.hold(&question)?;
        let asked = self.store.ask(&self.execution, new).await.map_err(refusal);
        if !matches!(asked, Ok(ApprovalState::Waiting)) || self.approve != Approve::Ask {
            self.waiting.forget(&question.call);
        }
        let mut state = asked?;
        if state == ApprovalState::Waiting && self.approve != Approve::Ask {
            let approve = self.approve == Approve::Auto;
            self.store.answer(&self.execution, &question.call, approve).await.map_err(refusal)?;
            state = if approve { ApprovalState::Approved } else { ApprovalState::Denied };
        }
        match state {
            ApprovalState::Waiting => Ok(None),
            ApprovalState::Denied => Ok(Some(false)),
            ApprovalState::Approved => {
                // Init knows of the release before the runner knows of the answer.
                let (done, released) = oneshot::channel();
                let release = Command::Release { question, done };
                self.commands.send(release).await.map_err(|_| Refusal::Ended)?;
                released.await.map_err(|_| Refusal::Ended)?;
                Ok(Some(true))
            }
        }
    }
}

/// The execution's own entries. What a person was asked about and init was not told of is marked: nothing of it can have
/// begun.
fn own(store: Arc<Store>, execution: ExecutionId) -> impl Stream<Item = Result<Replayed, Refusal>> + Send + 'static {
    let marked = async move {
        let approvals = store.approvals(&execution).await.map_err(refusal)?;
        let held = approvals.into_iter().filter(|approval| !approval.released);
        let held: HashSet<String> = held.map(|approval| approval.question.call).collect();
        Ok(pages(store, execution).map_ok(move |entry| {
            let held = entry.entry.kind == EntryKind::CallBegin && held.contains(&entry.entry.call);
            Replayed::Own { entry, held }
        }))
    };
    marked.try_flatten_stream()
}

fn pages(store: Arc<Store>, execution: ExecutionId) -> BoxStream<'static, Result<StoredEntry, Refusal>> {
    stream::try_unfold((store, execution, 0), move |(store, execution, after)| async move {
        let page = store.journal_after(&execution, after).await.map_err(refusal)?;
        let Some(last) = page.last().map(|entry| entry.seq) else { return Ok(None) };
        let entries = page.into_iter().map(Ok);
        Ok(Some((stream::iter(entries), (store, execution, last))))
    })
    .try_flatten()
    .boxed()
}

/// The command, for a person: arguments that hold more than plain characters are quoted.
fn summary(question: &Question) -> String {
    let mut text = String::new();
    for argument in &question.argv {
        let argument = String::from_utf8_lossy(argument);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(&byte);
        if !text.is_empty() {
            text.push(' ');
        }
        if !argument.is_empty() && argument.bytes().all(plain) {
            text.push_str(&argument);
        } else {
            text.extend(format!("{argument:?}").chars());
        }
        if text.len() > MAX_SUMMARY {
            text.truncate(text.floor_char_boundary(MAX_SUMMARY));
            text.push('…');
            break;
        }
    }
    text
}
