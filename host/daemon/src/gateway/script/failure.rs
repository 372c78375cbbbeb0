//! What a script expected, and what came.

use std::fmt;

/// Bytes of an expected or received text that a failure shows.
const SHOWN: usize = 2000;

/// The run is not the one that the script describes. Ends the execution; shown to the person whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptFailure {
    /// A result is not as expected.
    #[error("turn {turn}: the result of `{tool}` (call `{call}`) is not as expected\n{difference}")]
    Unmet {
        /// Turn that expected it, from 1.
        turn: usize,
        /// The call's id.
        call: String,
        /// Its tool.
        tool: String,
        /// What differs.
        difference: Box<Difference>,
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
    /// A text of `sees` that the request does not hold, or not in its order.
    #[error("turn {turn}: the conversation does not hold, behind what was seen before it: {text}")]
    Unseen {
        /// The turn, from 1.
        turn: usize,
        /// The text.
        text: String,
    },
    /// The agent asks for a turn after the last.
    #[error("the script has ended after {turns} turns, and another was asked for")]
    Ended {
        /// How many it has.
        turns: usize,
    },
    /// The agent has ended, and the script has not.
    #[error("the agent ended with {left} of {turns} turns of the script left; turn {turn} was to be: {next}")]
    Left {
        /// Turns that were not asked for.
        left: usize,
        /// How many it has.
        turns: usize,
        /// The first one of those left, from 1.
        turn: usize,
        /// Its text, shortened, and its calls.
        next: String,
    },
    /// A request that is not of the Messages API.
    #[error("the request is not as the Messages API describes it: {reason}")]
    Request {
        /// What is wrong.
        reason: String,
    },
}

/// One check that is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which check: `equals`, `contains`, `matches`, `json /a/b`, `is_error`.
    pub what: String,
    /// What the script says, shortened.
    pub expected: String,
    /// What came, shortened.
    pub got: String,
}

impl Difference {
    pub(super) fn new(what: &str, expected: &str, got: &str) -> Self {
        Difference { what: what.to_owned(), expected: shorten(expected), got: shorten(got) }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  expected: {}\n  got:      {}", self.what, self.expected, self.got)
    }
}

impl ScriptFailure {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            ScriptFailure::Left { .. } => Some("a turn without a call ends the run: it must be the last".to_owned()),
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
