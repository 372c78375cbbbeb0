//! The execution as far as it has come, and what follows from a turn. Pure.

use crate::calls::Ended;
use crate::conversation::{CallResult, Round, Step};
use crate::journal::{Stop, TurnEnd, Usage};
use crate::limits::CUT_SHORT;
use crate::model::Wire;
use crate::outcome::Outcome;
use crate::streak::{LOOP_WARNING, Repetition, Streak};

use super::GO_ON;

/// The execution as far as it has come.
#[derive(Default)]
pub(super) struct State {
    pub(super) round: Round,
    streak: Streak,
    pub(super) usage: Usage,
    cut_short: u32,
}

impl State {
    /// Before the first turn.
    pub(super) fn new(message: &str) -> Self {
        State { round: Round { message: message.to_owned(), steps: Vec::new() }, ..State::default() }
    }

    /// Takes a turn that is over, and says whether the execution is.
    pub(super) fn add(&mut self, wire: &dyn Wire, end: TurnEnd, ended: Vec<Ended>) -> Option<Outcome> {
        self.usage += end.usage;
        let mut looped = None;
        let mut note = None;
        for call in &ended {
            match self.streak.count(&call.requested.name, &call.requested.args, call.digest) {
                Repetition::Fine => {}
                Repetition::Warn => note = Some(LOOP_WARNING.to_owned()),
                Repetition::End(times) => {
                    looped.get_or_insert(Outcome::Loop { tool: call.requested.name.clone(), times });
                }
            }
        }
        let results: Vec<CallResult> = ended.into_iter().map(Ended::into_result).collect();
        let has_calls = !results.is_empty();
        self.cut_short = if end.stop == Stop::Length && !has_calls { self.cut_short + 1 } else { 0 };
        let over = match &end.stop {
            Stop::Refusal => Some(Outcome::Failed { reason: "the model declined to go on".to_owned() }),
            _ if looped.is_some() => looped,
            _ if has_calls => None,
            Stop::End | Stop::Tools => Some(Outcome::Completed { text: wire.text(&end.message) }),
            Stop::Length if self.cut_short >= CUT_SHORT => Some(Outcome::Limit {
                name: "answer-tokens".to_owned(),
                reason: format!("{CUT_SHORT} answers running were cut at their length"),
            }),
            Stop::Length => {
                note = Some(GO_ON.to_owned());
                None
            }
            Stop::Other(word) => Some(Outcome::Failed { reason: format!("the model stopped for `{word}`") }),
        };
        self.round.steps.push(Step { turn: end.turn, message: end.message, stop: end.stop, results, note });
        over
    }
}
