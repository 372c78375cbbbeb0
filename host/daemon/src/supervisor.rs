//! One task per execution: starts its jail, serves its runner, replaces what dies, ends what is done.

mod earlier;
pub mod jail;
mod journal;
pub mod ports;
mod seam;
pub mod state;
mod task;
mod waiting;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use earlier::Earlier;
pub use earlier::MAX_EARLIER;
pub use state::{End, Outcome};

use crate::home::Home;
use crate::id::ExecutionId;
use crate::request::RunRequest;
use crate::store::{Approval, ApprovalState, NewEvent, NewExecution, Store, StoreError};
use jail::JailStarter;
use ports::{Prepare, PrepareError, Prepared, UpstreamError, Upstreams};
use state::Counters;
use task::{Command, Task};
use waiting::Waiting;

/// Commands that wait for a task; an asker waits for room.
const QUEUE: usize = 64;

/// Owns every execution that has not ended.
#[derive(Clone)]
pub struct Supervisor(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) home: Home,
    pub(crate) store: Arc<Store>,
    pub(crate) jails: Arc<dyn JailStarter>,
    pub(crate) prepare: Arc<dyn Prepare>,
    pub(crate) upstreams: Arc<dyn Upstreams>,
    pub(crate) lease_time: Duration,
    tasks: Mutex<HashMap<ExecutionId, Handle>>,
}

struct Handle {
    commands: mpsc::Sender<Command>,
    /// Closed when the task is over.
    over: watch::Receiver<()>,
}

/// Why an execution was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The request cannot become work.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// There is no way to its model.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The execution to go on from is still running.
    #[error("`{0}` has not ended; follow or cancel it first")]
    NotEnded(String),
    /// The execution to go on from worked on another folder.
    #[error("`{execution}` worked on `{workspace}`, not on this folder")]
    OtherWorkspace {
        /// The execution to go on from.
        execution: String,
        /// Its workspace.
        workspace: String,
    },
    /// The execution to go on from talked with a model of another API; its messages mean nothing to this one.
    #[error("`{execution}` talked with `{earlier}`, which `{asked}` cannot go on from")]
    OtherWire {
        /// The execution to go on from.
        execution: String,
        /// Its provider.
        earlier: String,
        /// The provider that is asked for.
        asked: String,
    },
    /// The conversation has too many parts.
    #[error("the conversation has {MAX_EARLIER} executions already; begin a new one")]
    TooLong,
    /// The request of an execution to go on from cannot be read.
    #[error("the request of `{0}` cannot be read")]
    Unreadable(String),
    /// It could not be stored.
    #[error("could not store the execution")]
    Store(#[from] StoreError),
}

impl Supervisor {
    /// A supervisor without executions.
    #[must_use]
    pub fn new(
        home: Home,
        store: Arc<Store>,
        jails: Arc<dyn JailStarter>,
        prepare: Arc<dyn Prepare>,
        upstreams: Arc<dyn Upstreams>,
    ) -> Self {
        Supervisor(Arc::new(Inner {
            home,
            store,
            jails,
            prepare,
            upstreams,
            lease_time: state::LEASE_TIME,
            tasks: Mutex::default(),
        }))
    }

    /// Checks and stores an execution and starts it. Returns when it is stored.
    ///
    /// # Errors
    /// [`RunError`]; nothing is stored then.
    pub async fn run(&self, mut request: RunRequest) -> Result<ExecutionId, RunError> {
        let earlier = earlier::checked(&self.0.store, &mut request).await?;
        let id = ExecutionId::new();
        let prepared = self.0.prepare.prepare(&id, &request).await?;
        self.0.upstreams.model(&id, &request, &prepared.work, &self.0.store).await?;
        let level = prepared.level;
        let new = NewExecution {
            id: id.clone(),
            workspace: request.workspace.clone(),
            provider: request.provider.clone(),
            model: request.model.clone(),
            sandbox: if level == stigmer_policy::Level::Filesystem { "filesystem" } else { "wasi" }.to_owned(),
            level: level.name().to_owned(),
            title: request.title(),
            parent: request.resume.clone(),
            request: serde_json::to_vec(&request).expect("strings and numbers are JSON"),
        };
        let body = serde_json::json!({
            "schema": 1, "workspace": request.workspace, "provider": request.provider, "model": request.model,
            "sandbox": new.sandbox, "level": new.level, "approve": request.approve.name(), "resumes": request.resume,
        });
        if let Err(error) = self.0.store.create(new, NewEvent::new("created", &body)).await {
            self.0.upstreams.close(&id);
            return Err(error.into());
        }
        self.spawn(id.clone(), request, earlier, 0, Some(prepared));
        Ok(id)
    }

    /// Goes on with every execution that the last daemon left. Those whose key is missing wait as `needs_key`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn go_on(&self) -> Result<(), StoreError> {
        for row in self.0.store.unfinished().await? {
            if self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&row.id) {
                continue;
            }
            let request: RunRequest = match serde_json::from_slice(&row.request) {
                Ok(request) => request,
                Err(error) => {
                    let reason = format!("its request cannot be read: {error}");
                    self.0.store.end(&row.id, Outcome::Failed, reason, String::new()).await?;
                    continue;
                }
            };
            if let Err(error @ UpstreamError::NeedsKey { .. }) = self.0.upstreams.check(&request) {
                if row.state != "needs_key" {
                    let event = NewEvent::new("parked", &serde_json::json!({ "for": "key" }));
                    let store = &self.0.store;
                    store.set_state(&row.id, "needs_key", error.to_string(), row.attempt, vec![event]).await?;
                }
                continue;
            }
            let earlier = match earlier::of(&self.0.store, &row.parent).await {
                Ok(earlier) => earlier,
                Err(error) => {
                    let reason = format!("what it continues cannot be read: {error}");
                    self.0.store.end(&row.id, Outcome::Failed, reason, String::new()).await?;
                    continue;
                }
            };
            self.spawn(row.id, request, earlier, row.attempt, None);
        }
        Ok(())
    }

    fn spawn(
        &self,
        execution: ExecutionId,
        request: RunRequest,
        earlier: Vec<Earlier>,
        attempt: u32,
        prepared: Option<Prepared>,
    ) {
        let (sender, commands) = mpsc::channel(QUEUE);
        let (alive, over) = watch::channel(());
        let handle = Handle { commands: sender.clone(), over };
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).insert(execution.clone(), handle);
        let task = Task {
            inner: self.0.clone(),
            execution: execution.clone(),
            request,
            earlier,
            counters: Counters { attempt, ..Counters::default() },
            sender,
            commands,
            prepared,
            jail: None,
            link: None,
            waiting: Waiting::default(),
            runner_started: None,
            wake: None,
            kill_at: None,
            stale_runner: false,
        };
        let inner = self.0.clone();
        tokio::spawn(async move {
            task.run().await;
            inner.tasks.lock().unwrap_or_else(PoisonError::into_inner).remove(&execution);
            drop(alive);
        });
    }

    fn handle(&self, execution: &ExecutionId) -> Option<(mpsc::Sender<Command>, watch::Receiver<()>)> {
        let tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.get(execution).map(|handle| (handle.commands.clone(), handle.over.clone()))
    }

    /// Ends an execution. Returns when its tree is gone and its end is stored; gives how it ended.
    ///
    /// # Errors
    /// [`StoreError::NoExecution`].
    pub async fn cancel(&self, execution: &ExecutionId) -> Result<Outcome, StoreError> {
        if let Some((commands, mut over)) = self.handle(execution) {
            // A task that is over does not listen, and has stored its end.
            let _ = commands.send(Command::Cancel).await;
            while over.changed().await.is_ok() {}
        }
        let row = self.0.store.execution(execution).await?;
        match row.outcome {
            Some(outcome) => Ok(outcome),
            // Nothing runs: it waits for a key or for the next start.
            None => {
                let reason = "cancelled by a person".to_owned();
                self.0.store.end(execution, Outcome::Cancelled, reason, String::new()).await?;
                Ok(Outcome::Cancelled)
            }
        }
    }

    /// Answers waiting calls: the named one, every one, or the oldest. Gives those that were answered now.
    ///
    /// # Errors
    /// [`StoreError::NoExecution`].
    pub async fn answer(
        &self,
        execution: &ExecutionId,
        call: &str,
        all: bool,
        approve: bool,
    ) -> Result<Vec<Approval>, StoreError> {
        self.0.store.execution(execution).await?;
        let waiting = self.0.store.approvals(execution).await?;
        let mut waiting: Vec<Approval> =
            waiting.into_iter().filter(|approval| approval.state == ApprovalState::Waiting).collect();
        if !call.is_empty() {
            waiting.retain(|approval| approval.question.call == call);
        } else if !all {
            waiting.truncate(1);
        }
        let mut answered = Vec::new();
        for approval in waiting {
            let Some(approval) = self.0.store.answer(execution, &approval.question.call, approve).await? else {
                continue;
            };
            if let Some((commands, _)) = self.handle(execution) {
                let _ = commands.send(Command::Answered(Box::new(approval.clone()), approve)).await;
            }
            answered.push(approval);
        }
        Ok(answered)
    }

    /// Ends every tree without ending the executions: the next daemon goes on with them. Gives how many there were.
    pub async fn stop(&self) -> usize {
        let handles: Vec<_> = {
            let tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.values().map(|handle| (handle.commands.clone(), handle.over.clone())).collect()
        };
        for (commands, _) in &handles {
            let _ = commands.send(Command::Stop).await;
        }
        let count = handles.len();
        for (_, mut over) in handles {
            while over.changed().await.is_ok() {}
        }
        count
    }

    /// How many executions have a task.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The store behind it.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.0.store
    }
}

#[cfg(test)]
pub(crate) mod tests;
