//! The scripted model: turns written down beforehand, each with what it expects of the tool results before it.
//!
//! It answers from inside the gateway as Anthropic Messages do, so runner, wire and retries are the real ones. A script
//! that does not look at every tool result is refused: it would pass whatever the tools did. The format is described in
//! `docs/scripted-model.md`.

mod check;
mod document;
mod failure;
mod fill;
mod request;
mod sse;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

pub use document::{ScriptError, TurnError};
pub use failure::{Difference, ScriptFailure};

/// Largest script, in bytes.
pub const SCRIPT_BYTES: usize = 1 << 20;

/// A script, checked and with the execution's own paths filled in.
#[derive(Debug)]
pub struct Script {
    turns: Vec<document::Turn>,
    /// Answers that stand in the conversation before this run's first.
    before: usize,
    /// Turns that were answered so far: the furthest one.
    played: AtomicUsize,
}

impl Script {
    /// Checks a script's text. `places` are the values of its placeholders: `WORKSPACE`, `SCRATCH`, `HOME` …
    ///
    /// # Errors
    /// [`ScriptError`], which names the turn.
    pub fn parse(text: &str, places: &BTreeMap<String, String>) -> Result<Self, ScriptError> {
        Ok(Script { turns: document::parse(text, places)?, before: 0, played: AtomicUsize::new(0) })
    }

    /// The same script, in a conversation that held `answers` of a model before this run; of its own turns `played` are
    /// in it too.
    #[must_use]
    pub fn after(self, answers: usize, played: usize) -> Self {
        Script { before: answers, played: AtomicUsize::new(played), ..self }
    }

    /// How many turns it has.
    #[must_use]
    pub fn turns(&self) -> usize {
        self.turns.len()
    }

    /// What was never asked for. When an execution ends with turns left, the run was not the script's.
    #[must_use]
    pub fn left(&self) -> Option<ScriptFailure> {
        let played = self.played.load(Ordering::Acquire);
        let next = self.turns.get(played)?;
        let calls = next.calls.iter().map(|call| format!("`{}` (call `{}`)", call.tool, call.id));
        let text = (!next.text.is_empty()).then(|| failure::shorten(&next.text));
        let next = text.into_iter().chain(calls).collect::<Vec<_>>().join(", ");
        Some(ScriptFailure::Left { left: self.turns.len() - played, turns: self.turns.len(), turn: played + 1, next })
    }

    /// Answers one request. Which turn is due is read from the request (as many as the assistant has spoken), so a
    /// repeated request gets the same answer.
    ///
    /// # Errors
    /// [`ScriptFailure`]: the run is not the one that the script describes.
    pub(super) fn answer(&self, model: &str, body: &[u8]) -> Result<Answer, ScriptFailure> {
        let request = request::parse(body)?;
        let due = request.spoken.checked_sub(self.before).ok_or(ScriptFailure::Request {
            reason: format!("it holds {} answers of a model; {} stand before this run", request.spoken, self.before),
        })?;
        let turn = self.turns.get(due).ok_or(ScriptFailure::Ended { turns: self.turns.len() })?;
        check::sees(due + 1, turn, &request.texts)?;
        check::results(due + 1, turn, &request.results)?;
        self.played.fetch_max(due + 1, Ordering::AcqRel);
        let input = (body.len() as u64).div_ceil(4);
        Ok(if request.stream {
            Answer { content_type: "text/event-stream", pieces: sse::stream(model, due + 1, turn, input) }
        } else {
            Answer { content_type: "application/json", pieces: vec![sse::whole(model, due + 1, turn, input)] }
        })
    }
}

/// A response of the scripted model.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) content_type: &'static str,
    pub(super) pieces: Vec<Bytes>,
}

#[cfg(test)]
mod tests;
