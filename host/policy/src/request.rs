//! What is asked of a policy, and what it answers.

use serde::{Deserialize, Serialize};

use crate::path::JailPath;
use crate::rule::Rule;

/// One thing that code wants to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Read a file, list a folder, look at its metadata.
    Read(JailPath),
    /// Create, change, replace, rename or remove what the path names.
    Write(JailPath),
    /// Open a connection. `host` is a name or an address literal as the asker wrote it.
    Connect {
        /// Name or address literal, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// See an environment variable of the person.
    Env(String),
    /// Connect to a unix socket of the host.
    Unix(JailPath),
}

/// Which wall asks or answered; stands in file records and results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wall {
    /// The agent's own file tools.
    FileTool,
    /// A shell command.
    Command,
    /// A WebAssembly component.
    Plugin,
}

impl Wall {
    /// The name as it stands in records: `file-tool`, `command`, `plugin`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Wall::FileTool => "file-tool",
            Wall::Command => "command",
            Wall::Plugin => "plugin",
        }
    }
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Go ahead; `rule` is the one that allowed it.
    Allow {
        /// The rule that spoke.
        rule: Rule,
    },
    /// Refused.
    Deny(Denial),
}

impl Decision {
    /// The rule that made the decision.
    #[must_use]
    pub fn rule(&self) -> Rule {
        match self {
            Decision::Allow { rule } => *rule,
            Decision::Deny(denial) => denial.rule,
        }
    }

    /// Whether the request may go ahead.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Decision::Allow { .. })
    }

    /// The allowing rule, or the denial as an error.
    ///
    /// # Errors
    /// The [`Denial`], when the answer is no.
    pub fn into_result(self) -> Result<Rule, Denial> {
        match self {
            Decision::Allow { rule } => Ok(rule),
            Decision::Deny(denial) => Err(denial),
        }
    }
}

/// A refusal: one typed value in the result, one event, one audit row.
///
/// The model sees `rule`, `subject` and `reason`; only the person is shown [`Denial::grant`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason} (rule `{rule}`)")]
pub struct Denial {
    /// The rule that refused.
    pub rule: Rule,
    /// What was asked for, as text: `write /w/.git/hooks/pre-commit`, `connect example.com:443`.
    pub subject: String,
    /// Why, in words a model or a person can act on; no host paths beyond the subject, no secrets.
    pub reason: String,
    /// The smallest change of policy that would allow it, for the person only; `None` when nothing would.
    pub grant: Option<String>,
}

/// Longest text of one name in a subject or reason, in characters.
pub const MAX_SUBJECT: usize = 4096;

/// `text` fit for one line of a record or terminal: control and direction-changing characters escaped, length bounded.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_SUBJECT));
    for c in text.chars().take(MAX_SUBJECT) {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns { out.extend(c.escape_default()) } else { out.push(c) }
    }
    if text.chars().nth(MAX_SUBJECT).is_some() {
        out.push('…');
    }
    out
}
