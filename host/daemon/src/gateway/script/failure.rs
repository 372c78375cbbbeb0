//! What a script expected, and what came.

/// Bytes of an expected or received text that a failure shows.
const SHOWN: usize = 2000;

/// The run is not the one that the script describes. Ends the execution; shown to the person whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptFailure {
    /// A result is not as expected.
    #[error(
        "turn {turn}: the result of `{tool}` (call `{call}`) is not as expected\n{what}\n  expected: {expected}\n  got:      {got}"
    )]
    Unmet {
        /// Turn that expected it, from 1.
        turn: usize,
        /// The call's id.
        call: String,
        /// Its tool.
        tool: String,
        /// Which check: `equals`, `contains`, `matches`, `json /a/b`, `is_error`.
        what: String,
        /// What the script says, shortened.
        expected: String,
        /// What came, shortened.
        got: String,
    },
    /// A call without a result.
    #[error("turn {turn}: there is no result of `{tool}` (call `{call}`)")]
    Missing {
        /// Turn that expected it, from 1.
        turn: usize,
        /// The call's id.
        call: String,
        /// Its tool.
        tool: String,
    },
    /// A result that the script has no call for.
    #[error("turn {turn}: there is a result of a call `{call}` that the script did not make")]
    Unknown {
        /// The turn, from 1.
        turn: usize,
        /// The call's id.
        call: String,
    },
    /// The agent asks for a turn after the last.
    #[error("the script has ended after {turns} turns, and another was asked for")]
    Ended {
        /// How many it has.
        turns: usize,
    },
    /// A request that is not of the Messages API.
    #[error("the request is not as the Messages API describes it: {reason}")]
    Request {
        /// What is wrong.
        reason: String,
    },
}

impl ScriptFailure {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            ScriptFailure::Unmet { .. } | ScriptFailure::Missing { .. } => {
                Some("either the data or tools changed, or the script is wrong".to_owned())
            }
            _ => None,
        }
    }
}

/// The beginning of a text, with what is left out counted.
pub(super) fn shorten(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(SHOWN);
    format!("{}… ({} bytes more)", &text[..end], text.len() - end)
}
