//! The past, made into steps again.

use tokio_util::sync::CancellationToken;

use super::state::State;
use super::{Agent, EARLIER_SCRATCH, Earlier};
use crate::calls::Planned;
use crate::conversation::Round;
use crate::history::{History, PastTurn};
use crate::model::Wire;
use crate::outcome::Outcome;
use crate::stopped::Stopped;

impl Agent {
    /// Rebuilds the steps that are over, and brings the last one to its end.
    pub(super) async fn resume(
        &self,
        wire: &dyn Wire,
        history: History,
        cancel: &CancellationToken,
        state: &mut State,
    ) -> Result<Option<Outcome>, Stopped> {
        let turns = history.into_turns();
        let last = turns.len();
        for (place, past) in turns.into_iter().enumerate() {
            let planned = self.plan_resumed(wire, &past);
            if place + 1 < last && planned.iter().any(|call| !call.is_over()) {
                return Err(Stopped::failed(format!("the journal has no end for a call of turn {}", past.end.turn)));
            }
            let ended = self.run_calls(planned, Vec::new(), Vec::new(), cancel).await?;
            if let Some(outcome) = state.add(wire, past.end, ended) {
                return Ok(Some(outcome));
            }
        }
        Ok(None)
    }

    /// The round of an execution that is over. Its streaks and usage are its own.
    pub(super) fn earlier(&self, wire: &dyn Wire, earlier: &Earlier) -> Round {
        let mut state = State::new(&earlier.message);
        for past in earlier.history.turns() {
            let planned = self.plan_resumed(wire, past);
            // How it ended then does not matter now.
            let _ = state.add(wire, past.end.clone(), planned.into_iter().map(Planned::abandon).collect());
        }
        let mut round = state.round;
        // Once for each of them: what the model has read before stays as it was, also for the provider's cache.
        if let (true, Some(step)) = (earlier.history.has_calls(), round.steps.last_mut()) {
            step.note = Some(
                step.note.take().map_or(EARLIER_SCRATCH.to_owned(), |note| format!("{note}\n\n{EARLIER_SCRATCH}")),
            );
        }
        round
    }

    fn plan_resumed(&self, wire: &dyn Wire, past: &PastTurn) -> Vec<Planned> {
        let mut planned = self.plan(wire.calls(&past.end.message), past.end.turn);
        for call in &mut planned {
            if let Some(past) = past.call(call.id()) {
                call.resume(past);
            }
        }
        planned
    }
}
