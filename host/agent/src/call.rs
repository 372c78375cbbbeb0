//! Names of calls.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One tool call of an execution: turn and place in the turn, `7.2` for the second call of turn 7.
///
/// Made by the loop, not taken from the provider: providers repeat ids, leave them out, or let the model choose them.
/// It follows from the journal alone, so a resumed execution gives each call the name that it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallId {
    turn: u32,
    index: u32,
}

impl CallId {
    /// The call at `index` (from 1) of `turn` (from 1).
    #[must_use]
    pub fn new(turn: u32, index: u32) -> Self {
        CallId { turn, index }
    }

    /// Turn that made the call, from 1.
    #[must_use]
    pub fn turn(self) -> u32 {
        self.turn
    }

    /// Place within the turn, from 1.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.turn, self.index)
    }
}

impl From<CallId> for String {
    fn from(id: CallId) -> String {
        id.to_string()
    }
}

/// A text that names no call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a call id, which reads `TURN.INDEX`")]
pub struct CallIdError(String);

impl TryFrom<String> for CallId {
    type Error = CallIdError;

    fn try_from(text: String) -> Result<Self, CallIdError> {
        let parsed = text.split_once('.').and_then(|(turn, index)| Some((turn.parse().ok()?, index.parse().ok()?)));
        match parsed {
            Some((turn, index)) if CallId { turn, index }.to_string() == text => Ok(CallId { turn, index }),
            _ => Err(CallIdError(text)),
        }
    }
}

impl std::str::FromStr for CallId {
    type Err = CallIdError;

    fn from_str(text: &str) -> Result<Self, CallIdError> {
        CallId::try_from(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let id = CallId::new(7, 2);
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "7", "7.", ".2", "7.2.1", "07.2", "+7.2", "7.-2", "a.b", "4294967296.1"] {
            assert_eq!(text.parse::<CallId>(), Err(CallIdError(text.to_owned())), "{text}");
        }
    }
}
