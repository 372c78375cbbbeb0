//! What an execution did before its process died, read from the journal.

use std::collections::BTreeMap;

use crate::call::CallId;
use crate::journal::{CallBegin, CallEnd, Entry, TurnEnd};

/// The past of an execution. The default is an execution that has none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    turns: Vec<PastTurn>,
    begun: Option<u32>,
}

/// A turn whose answer is there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PastTurn {
    pub(crate) end: TurnEnd,
    calls: BTreeMap<CallId, PastCall>,
}

/// A call that was started.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PastCall {
    pub(crate) begin: CallBegin,
    /// `None`: the process died while it ran.
    pub(crate) end: Option<CallEnd>,
    /// The trusted half knows that nothing of it was started: it was never released.
    pub(crate) held: bool,
}

/// Why entries are not the journal of one execution. Nothing is guessed: going on could run a call twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// A turn is missing, or comes twice.
    #[error("the journal has turn {found} where turn {expected} belongs")]
    Turn {
        /// The turn that belongs there.
        expected: u32,
        /// The turn of the entry.
        found: u32,
    },
    /// A call outside its turn, started twice, or ended without a start or twice.
    #[error("the journal has an entry of call `{call}` where none belongs")]
    Call {
        /// The call of the entry.
        call: CallId,
    },
    /// A turn began although a call of the one before has no end.
    #[error("the journal goes on after call `{call}`, which has no end")]
    Open {
        /// The call without an end.
        call: CallId,
    },
}

impl History {
    /// Reads the entries of one execution in the order in which they were committed.
    ///
    /// # Errors
    /// [`HistoryError`], when they do not follow from one another.
    pub fn from_entries(entries: impl IntoIterator<Item = Entry>) -> Result<Self, HistoryError> {
        let mut history = History::default();
        for entry in entries {
            history.add(entry)?;
        }
        Ok(history)
    }

    /// The same past, in which nothing was started of these calls: they waited for a person.
    #[must_use]
    pub fn with_held(mut self, calls: &[CallId]) -> Self {
        for (call, past) in self.turns.iter_mut().flat_map(|turn| &mut turn.calls) {
            past.held |= calls.contains(call);
        }
        self
    }

    /// Whether nothing happened yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty() && self.begun.is_none()
    }

    /// The turn whose request was sent but whose answer is not there.
    pub(crate) fn begun(&self) -> Option<u32> {
        self.begun
    }

    /// Whether any call was made: then there may be files in the scratch folder.
    pub(crate) fn has_calls(&self) -> bool {
        self.turns.iter().any(|turn| !turn.calls.is_empty())
    }

    pub(crate) fn turns(&self) -> &[PastTurn] {
        &self.turns
    }

    pub(crate) fn into_turns(self) -> Vec<PastTurn> {
        self.turns
    }

    fn add(&mut self, entry: Entry) -> Result<(), HistoryError> {
        let expected = self.turns.len() as u32 + 1;
        match entry {
            Entry::TurnBegin(begin) => {
                if begin.turn != expected || self.begun.is_some() {
                    return Err(HistoryError::Turn { expected, found: begin.turn });
                }
                if let Some(call) = self.turns.last().and_then(PastTurn::open_call) {
                    return Err(HistoryError::Open { call });
                }
                self.begun = Some(begin.turn);
            }
            Entry::TurnEnd(end) => {
                if self.begun.take() != Some(end.turn) {
                    return Err(HistoryError::Turn { expected, found: end.turn });
                }
                self.turns.push(PastTurn { end, calls: BTreeMap::new() });
            }
            Entry::CallBegin(begin) => {
                let call = begin.call;
                let turn = self.turn_of(call)?;
                if turn.calls.insert(call, PastCall { begin, end: None, held: false }).is_some() {
                    return Err(HistoryError::Call { call });
                }
            }
            Entry::CallEnd(end) => {
                let call = end.call;
                let place = self.turn_of(call)?.calls.get_mut(&call).ok_or(HistoryError::Call { call })?;
                if place.end.replace(end).is_some() {
                    return Err(HistoryError::Call { call });
                }
            }
        }
        Ok(())
    }

    fn turn_of(&mut self, call: CallId) -> Result<&mut PastTurn, HistoryError> {
        let open = self.begun.is_none();
        self.turns.last_mut().filter(|turn| open && turn.end.turn == call.turn()).ok_or(HistoryError::Call { call })
    }
}

impl PastTurn {
    pub(crate) fn call(&self, call: CallId) -> Option<&PastCall> {
        self.calls.get(&call)
    }

    fn open_call(&self) -> Option<CallId> {
        self.calls.iter().find(|(_, past)| past.end.is_none()).map(|(call, _)| *call)
    }
}

#[cfg(test)]
mod tests;
