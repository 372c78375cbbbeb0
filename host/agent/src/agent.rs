//! The loop.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::calls::Planned;
use crate::clock::Clock;
use crate::conversation::Round;
use crate::events::{Event, Events};
use crate::history::History;
use crate::journal::{Entry, Journal, TurnBegin, TurnEnd, Usage};
use crate::model::{Prompt, Protocol, Requested};
use crate::outcome::Outcome;
use crate::spill::Spill;
use crate::stopped::Stopped;
use crate::toolset::ToolSet;
use crate::transport::ModelTransport;

use state::State;

mod resume;
mod state;

/// What the model is told when its answer reached the bound of one answer.
pub const GO_ON: &str = "Your last answer reached the length that one answer may have and was cut there. Go on from \
where it stopped.";

/// What the model is told when the execution went on without its scratch folder.
pub const SCRATCH_LOST: &str = "The execution was interrupted and has been resumed. Files in the scratch folder are \
gone, except the whole results that were named to you; the workspace is as it was.";

/// What the model is told at the end of an execution that is continued and that made calls.
pub const EARLIER_SCRATCH: &str = "The conversation goes on in a new scratch folder: files in the former one, also the \
whole results that were named to you, are gone; the workspace is as it is now.";

/// What the loop stands on.
#[derive(Clone)]
pub struct Parts {
    /// The way to the model.
    pub model: Arc<dyn ModelTransport>,
    /// Keeps each step.
    pub journal: Arc<dyn Journal>,
    /// Shows each step.
    pub events: Arc<dyn Events>,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
    /// Keeps long results.
    pub spill: Arc<dyn Spill>,
}

/// What an execution is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// API of the provider.
    pub protocol: Protocol,
    /// Name of the model at the provider.
    pub model: String,
    /// System prompt; the same bytes on each resumption.
    pub system: String,
    /// Executions that this one continues, oldest first. They spoke the same protocol: their messages are sent again.
    pub earlier: Vec<Earlier>,
    /// The person's words.
    pub message: String,
    /// Turns that may be taken, those before a resumption included and earlier executions not; [`crate::limits::MAX_TURNS`] by default.
    pub max_turns: u32,
    /// The scratch folder was lost since the last turn; the model is told.
    pub scratch_lost: bool,
}

/// An execution that is continued by a new message.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// The person's words of then.
    pub message: String,
    /// What it did. It is over: nothing of it is run again, and a call that it left open reads as interrupted.
    pub history: History,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// Turns taken, those before a resumption included.
    pub turns: u32,
    /// Tokens of all turns.
    pub usage: Usage,
}

/// An agent: tools, and what the loop stands on.
#[derive(Clone)]
pub struct Agent {
    pub(crate) parts: Parts,
    pub(crate) tools: ToolSet,
}

impl Agent {
    /// Puts the parts together; nothing happens yet.
    #[must_use]
    pub fn new(parts: Parts, tools: ToolSet) -> Self {
        Agent { parts, tools }
    }

    /// Runs `task` to its end, from where `history` leaves off.
    ///
    /// Everything that goes wrong is an [`Outcome`]. When `cancel` fires, the request or the calls under way are dropped
    /// and nothing more is written. The last event is [`Event::Ended`].
    pub async fn run(&self, task: &Task, history: History, cancel: &CancellationToken) -> Finished {
        let mut state = State::new(&task.message);
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Outcome::Cancelled,
            end = self.drive(task, history, cancel, &mut state) => end.unwrap_or_else(Stopped::into_outcome),
        };
        if let Outcome::Limit { name, reason } = &outcome {
            self.emit(Event::Limit { name: name.clone(), reason: reason.clone() }).await;
        }
        self.emit(Event::Ended { outcome: outcome.clone() }).await;
        Finished { outcome, turns: state.round.steps.len() as u32, usage: state.usage }
    }

    async fn drive(
        &self,
        task: &Task,
        history: History,
        cancel: &CancellationToken,
        state: &mut State,
    ) -> Result<Outcome, Stopped> {
        let wire = task.protocol.wire();
        let earlier: Vec<Round> = task.earlier.iter().map(|earlier| self.earlier(wire.as_ref(), earlier)).collect();
        let mut begun = history.begun();
        if let Some(outcome) = self.resume(wire.as_ref(), history, cancel, state).await? {
            return Ok(outcome);
        }
        if let (true, Some(step)) = (task.scratch_lost, state.round.steps.last_mut()) {
            step.note =
                Some(step.note.take().map_or(SCRATCH_LOST.to_owned(), |note| format!("{note}\n\n{SCRATCH_LOST}")));
        }
        loop {
            let turn = state.round.steps.len() as u32 + 1;
            if turn > task.max_turns {
                let reason = format!("{} turns were taken", task.max_turns);
                return Ok(Outcome::Limit { name: "max-turns".to_owned(), reason });
            }
            let body = wire.body(&Prompt {
                model: &task.model,
                system: &task.system,
                tools: self.tools.specs(),
                earlier: &earlier,
                round: &state.round,
            });
            // A turn that was begun before a resumption is in the journal already.
            if begun.take() != Some(turn) {
                let request_sha256 = hex(&Sha256::digest(&body));
                self.parts.journal.commit(vec![Entry::TurnBegin(TurnBegin { turn, request_sha256 })]).await?;
            }
            self.emit(Event::Turn { turn }).await;
            let answer = self.exchange(wire.as_ref(), turn, body.into()).await?;
            let end = TurnEnd { turn, message: answer.message, usage: answer.usage, stop: answer.stop };
            let usage = Event::Usage { turn, usage: end.usage, stop: end.stop.clone() };
            let planned = self.plan(wire.calls(&end.message), turn);
            let ended = self.run_calls(planned, vec![Entry::TurnEnd(end.clone())], vec![usage], cancel).await?;
            if let Some(outcome) = state.add(wire.as_ref(), end, ended) {
                return Ok(outcome);
            }
        }
    }

    pub(crate) fn plan(&self, requested: Vec<Requested>, turn: u32) -> Vec<Planned> {
        requested.into_iter().enumerate().map(|(place, call)| Planned::new(&self.tools, call, turn, place)).collect()
    }

    pub(crate) async fn emit(&self, event: Event) {
        self.parts.events.emit(event).await;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
