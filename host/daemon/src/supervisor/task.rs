//! The task that owns one execution.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::Inner;
use super::earlier::Earlier;
use super::jail::{Jail, JailEvent, JailSpec};
use super::journal::StoreJournal;
use super::ports::Prepared;
use super::state::{Action, Counters, End, Input, Outcome, State, next};
use super::waiting::Waiting;
use crate::ExecutionId;
use crate::api::runner::{Link, Note, Ports, Question, Say, Work, pair, serve};
use crate::request::RunRequest;
use crate::store::{Approval, NewEvent, StoreError};

mod record;

/// What others ask of the task.
pub(super) enum Command {
    Cancel,
    Stop,
    /// A stored answer.
    Answered(Box<Approval>, bool),
    /// A call that was approved before asks again.
    Release {
        question: Question,
        done: oneshot::Sender<()>,
    },
}

pub(super) struct Task {
    pub(super) inner: Arc<Inner>,
    pub(super) execution: ExecutionId,
    pub(super) request: RunRequest,
    pub(super) earlier: Vec<Earlier>,
    pub(super) counters: Counters,
    pub(super) sender: mpsc::Sender<Command>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) prepared: Option<Prepared>,
    pub(super) jail: Option<Box<dyn Jail>>,
    pub(super) link: Option<Link>,
    /// Of the present runner.
    pub(super) waiting: Waiting,
    /// Start of the runner that has not leased yet; for the log.
    pub(super) runner_started: Option<Instant>,
    pub(super) wake: Option<Instant>,
    pub(super) kill_at: Option<Instant>,
    /// A runner that was given up before its end was reported.
    pub(super) stale_runner: bool,
}

impl Task {
    /// Runs the execution to its end, or until the daemon stops.
    pub(super) async fn run(mut self) {
        let (mut state, mut input) = (State::Queued, Input::Start);
        loop {
            let before = state.name();
            let (after, actions) = next(state, &mut self.counters, input, Instant::now());
            state = after;
            let changed = state.name() != before;
            let mut follow = None;
            for action in actions {
                match self.perform(action).await {
                    Ok(None) => {}
                    Ok(again) => follow = again,
                    Err(error) => {
                        // Without its record an execution cannot be accounted for: it stops here, the next daemon
                        // finds it where it was.
                        tracing::error!(execution = %self.execution, error = &error as &dyn std::error::Error,
                            "could not store what became of an execution");
                        self.end_tree().await;
                        return;
                    }
                }
            }
            if let State::Ended(_) | State::Stopped = state {
                if state == State::Stopped {
                    self.note_state(&state).await;
                }
                return;
            }
            if changed {
                self.note_state(&state).await;
            }
            input = match follow {
                Some(input) => input,
                None => self.input().await,
            };
        }
    }

    async fn note_state(&self, state: &State) {
        let events = match state {
            State::Running => vec![NewEvent::new("started", &serde_json::json!({ "attempt": self.counters.attempt }))],
            State::Parked { .. } => vec![NewEvent::new("parked", &serde_json::json!({ "for": "approval" }))],
            State::Stopped => vec![NewEvent::new("parked", &serde_json::json!({ "for": "the daemon's next start" }))],
            _ => vec![],
        };
        let (id, attempt) = (&self.execution, self.counters.attempt);
        match self.inner.store.set_state(id, state.name(), String::new(), attempt, events).await {
            Ok(()) | Err(StoreError::Ended(_)) => {}
            Err(error) => tracing::error!(execution = %id, error = &error as &dyn std::error::Error,
                "could not store where an execution stands"),
        }
    }

    /// Waits for what happens next.
    async fn input(&mut self) -> Input {
        loop {
            let timer = [self.wake, self.kill_at].into_iter().flatten().min();
            let input = tokio::select! {
                biased;
                command = self.commands.recv() => self.command(command).await,
                note = next_note(&mut self.link) => self.note(note).await,
                event = next_event(&mut self.jail) => self.event(event),
                () = sleep_until(timer) => self.timer().await,
            };
            if let Some(input) = input {
                return input;
            }
        }
    }

    async fn command(&mut self, command: Option<Command>) -> Option<Input> {
        match command {
            Some(Command::Cancel) => Some(Input::Cancel),
            // The task holds a sender itself; without others the daemon is going down.
            Some(Command::Stop) | None => Some(Input::Stop),
            Some(Command::Release { question, done }) => {
                self.release(&question).await;
                let _ = done.send(());
                None
            }
            Some(Command::Answered(approval, approved)) => {
                // A runner that is gone held it; the next one asks again, and it is released then.
                if let Some(question) = self.waiting.answered(&approval).filter(|_| approved) {
                    self.release(&question).await;
                }
                if let Some(link) = &self.link {
                    // A runner that is gone asks again when it comes back, and is answered then.
                    let _ = link.say(Say::Answer { call: approval.question.call.clone(), approved });
                }
                Some(Input::Answered)
            }
        }
    }

    async fn release(&mut self, question: &Question) {
        // Without a runner nobody would start it: the next one asks, and it is released then.
        let (Some(jail), Some(_)) = (&mut self.jail, &self.link) else { return };
        match self.inner.store.note_release(&self.execution, &question.call).await {
            Ok(true) => {}
            // A runner that asks again is given the answer again, and nothing to start with it.
            Ok(false) => return,
            Err(error) => {
                tracing::error!(execution = %self.execution, error = &error as &dyn std::error::Error,
                    "could not store a release; the call is not let go");
                return;
            }
        }
        if let Err(error) = jail.release(question).await {
            // Then the tree is on its way out, and the call is asked again by the next runner.
            tracing::warn!(execution = %self.execution, error = %error, "could not release a call");
        }
    }

    async fn note(&mut self, note: Note) -> Option<Input> {
        match note {
            Note::Leased { pid } => {
                let taken = self.runner_started.take().map(|begun| begun.elapsed().as_micros());
                let microseconds = taken.and_then(|taken| u64::try_from(taken).ok());
                tracing::info!(execution = %self.execution, pid, microseconds, "a runner leased");
                Some(Input::Leased)
            }
            Note::Progress => Some(Input::Progress),
            Note::Asked => Some(Input::Asked),
            Note::Finished { end, .. } => Some(Input::Finished(end)),
            Note::Full(what) => {
                let event = NewEvent::new("limit", &serde_json::json!({ "limit": "stored bytes", "detail": what }));
                if let Err(error) = self.inner.store.append_events(&self.execution, vec![event]).await {
                    tracing::error!(error = &error as &dyn std::error::Error, "could not store an event");
                }
                Some(Input::Finished(End::new(Outcome::Limit, what)))
            }
            Note::Gone => {
                self.link = None;
                self.stale_runner = true;
                Some(Input::RunnerGone("its stream ended".to_owned()))
            }
        }
    }

    fn event(&mut self, event: JailEvent) -> Option<Input> {
        match event {
            JailEvent::RunnerEnded(_) if std::mem::take(&mut self.stale_runner) => None,
            JailEvent::RunnerEnded(how) => {
                self.link = None;
                Some(Input::RunnerGone(how))
            }
            JailEvent::Gone(why) => {
                (self.jail, self.link, self.kill_at, self.stale_runner) = (None, None, None, false);
                Some(Input::JailGone(why))
            }
        }
    }

    async fn timer(&mut self) -> Option<Input> {
        let now = Instant::now();
        if self.kill_at.is_some_and(|at| now >= at) {
            self.kill_at = None;
            if let Some(jail) = &mut self.jail {
                jail.stop().await;
            }
        }
        if self.wake.is_some_and(|at| now >= at) {
            self.wake = None;
            return Some(Input::Tick);
        }
        None
    }

    async fn perform(&mut self, action: Action) -> Result<Option<Input>, StoreError> {
        match action {
            Action::StartJail => return Ok(self.start_jail().await),
            Action::RestartRunner => return Ok(self.restart_runner().await),
            Action::TellRunner => {
                if let Some(link) = &self.link {
                    let _ = link.say(Say::Cancel { reason: "cancelled by a person".to_owned() });
                }
            }
            Action::StopJailAt(at) => self.kill_at = Some(at),
            Action::StopJail => {
                if let Some(jail) = &mut self.jail {
                    jail.stop().await;
                }
            }
            // Once it was started: making its code ready takes its own time.
            Action::AwaitLease => self.wake = Some(Instant::now() + self.inner.lease_time),
            Action::WakeAt(at) => self.wake = Some(at),
            Action::Interrupted(reason) => {
                let event = NewEvent::new("interrupted", &serde_json::json!({ "reason": reason }));
                self.inner.store.append_events(&self.execution, vec![event]).await?;
            }
            Action::Record(end) => self.record(end).await?,
        }
        Ok(None)
    }

    /// `None` when it was started; else what became of it.
    async fn start_jail(&mut self) -> Option<Input> {
        let again = |reason: String| Some(Input::JailGone(reason));
        let prepared = match self.prepare().await {
            Ok(prepared) => prepared,
            Err(reason) => {
                self.counters.jail = false;
                return Some(Input::Refused(reason));
            }
        };
        if let Err(reason) = self.keep_baseline().await {
            return again(reason);
        }
        let spec = JailSpec {
            name: self.execution.to_string(),
            level: prepared.level,
            policy: prepared.policy.clone(),
            released: self.request.approve != crate::request::Approve::Auto,
            run: self.inner.home.run(&self.execution),
            code: prepared.code.clone(),
        };
        let rpc = match self.serve_runner(&prepared, self.counters.attempt > 1).await {
            Ok(rpc) => rpc,
            Err(input) => {
                self.counters.jail = false;
                return Some(input);
            }
        };
        self.runner_started = Some(Instant::now());
        match self.inner.jails.start(&spec, rpc).await {
            Ok(jail) => {
                self.jail = Some(jail);
                None
            }
            Err(error) => {
                self.link = None;
                self.counters.jail = false;
                if error.again { again(error.message) } else { Some(Input::Refused(error.message)) }
            }
        }
    }

    async fn restart_runner(&mut self) -> Option<Input> {
        self.link = None;
        let prepared = match self.prepare().await {
            Ok(prepared) => prepared,
            Err(reason) => return Some(Input::Finished(End::new(Outcome::Failed, reason))),
        };
        let rpc = match self.serve_runner(&prepared, false).await {
            Ok(rpc) => rpc,
            Err(Input::Refused(reason)) => return Some(Input::Finished(End::new(Outcome::Failed, reason))),
            Err(input) => return Some(input),
        };
        let jail = self.jail.as_mut()?;
        match jail.restart_runner(rpc).await {
            Ok(()) => None,
            // Init does not listen: end what is left; its end leads to a new jail.
            Err(_) => {
                jail.stop().await;
                None
            }
        }
    }

    async fn prepare(&mut self) -> Result<Prepared, String> {
        if let Some(prepared) = &self.prepared {
            return Ok(prepared.clone());
        }
        let prepared = self.inner.prepare.prepare(&self.execution, &self.request).await;
        let prepared = prepared.map_err(|error| error.to_string())?;
        Ok(self.prepared.insert(prepared).clone())
    }

    async fn serve_runner(&mut self, prepared: &Prepared, scratch_lost: bool) -> Result<std::os::fd::OwnedFd, Input> {
        let store = &self.inner.store;
        let model = self.inner.upstreams.model(&self.execution, &self.request, &prepared.work, store).await;
        let model = model.map_err(|error| Input::Refused(error.to_string()))?;
        self.waiting = Waiting::default();
        let ports = Ports {
            journal: Arc::new(StoreJournal {
                store: store.clone(),
                execution: self.execution.clone(),
                earlier: self.earlier.clone(),
                approve: self.request.approve,
                commands: self.sender.clone(),
                seam: Mutex::default(),
                waiting: self.waiting.clone(),
            }),
            model,
            http: self.inner.upstreams.http(&self.execution, &prepared.policy, store),
        };
        let mut work = prepared.work.clone();
        work.id = self.execution.to_string();
        (work.attempt, work.scratch_lost) = (self.counters.attempt, scratch_lost);
        let served = pair().and_then(|(ours, theirs)| {
            self.link = Some(serve(ours, Work::Execution(Box::new(work)), ports)?);
            Ok(theirs)
        });
        served.map_err(|error| Input::JailGone(format!("could not make a stream: {error}")))
    }

    async fn end_tree(&mut self) {
        if let Some(jail) = &mut self.jail {
            jail.stop().await;
            while !matches!(jail.event().await, JailEvent::Gone(_)) {}
        }
    }
}

async fn next_note(link: &mut Option<Link>) -> Note {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

async fn next_event(jail: &mut Option<Box<dyn Jail>>) -> JailEvent {
    match jail {
        Some(jail) => jail.event().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
