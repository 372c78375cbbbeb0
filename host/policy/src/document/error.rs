//! What can be wrong with a document, and what to write instead.

use crate::environment::NameError;
use crate::host::HostError;
use crate::limits::LimitsError;
use crate::path::{JailPath, PathError};
use crate::policy::PolicyError;
use crate::promise::Promise;
use crate::protected::PatternError;

/// Why a document makes no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("line {line}: {message}")]
    Shape {
        /// Line, from 1.
        line: usize,
        /// The parser's words, which name the key or the types.
        message: String,
    },
    /// A value that cannot stand.
    #[error("line {line}: `{key}` cannot be `{value}`")]
    Value {
        /// Line, from 1.
        line: usize,
        /// The key with its table.
        key: &'static str,
        /// The value as written.
        value: String,
        /// What is wrong with it.
        source: Problem,
    },
    /// More than [`super::MAX_DOCUMENT`].
    #[error("the document has {bytes} bytes, at most 262144 are accepted")]
    TooLong {
        /// Its size.
        bytes: usize,
    },
    /// The places and the document together make no policy.
    #[error("the document makes no policy")]
    Policy(#[source] PolicyError),
}

/// What is wrong with one value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// `extends` names no built-in policy.
    #[error("there is no built-in policy of that name")]
    Extends,
    /// Not a path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// `~/x`.
    #[error("`~` is not expanded")]
    Tilde,
    /// `/a/../b`, `/a/`.
    #[error("the path is not in its clean form")]
    Unclean {
        /// The clean form.
        clean: JailPath,
    },
    /// A folder that is never granted.
    #[error("{why}")]
    Refused {
        /// Why.
        why: &'static str,
    },
    /// A folder that holds one of the execution's own.
    #[error("the folder holds `{inner}`, which the execution has anyway")]
    Holds {
        /// The inner folder.
        inner: JailPath,
    },
    /// It would change nothing.
    #[error("this changes nothing: {why}")]
    Nothing {
        /// Why.
        why: &'static str,
    },
    /// The same twice.
    #[error("this is listed twice")]
    Twice,
    /// A pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A pattern to remove that is not on the list.
    #[error("there is no such pattern on the list")]
    NoPattern,
    /// A pattern that stays.
    #[error("the pattern cannot be removed: code would change the walls around itself")]
    Fixed,
    /// A host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Ports.
    #[error("ports lie between 1 and 65535, and there is at least one")]
    Ports,
    /// An environment name.
    #[error(transparent)]
    Env(#[from] NameError),
    /// A limit.
    #[error("between {} and {} is accepted", .0.least, .0.most)]
    Limit(LimitsError),
    /// `[minimum]` names no promise.
    #[error("there is no such promise")]
    Promise,
    /// `[minimum]` gives no strength.
    #[error("there is no such strength")]
    Strength,
}

impl DocumentError {
    /// What to write instead, for the line under the error.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            DocumentError::Value { source, .. } => source.hint(),
            _ => None,
        }
    }
}

impl Problem {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Problem::Extends => "write \"workspace\" or \"read-only\"".to_owned(),
            Problem::Path(PathError::Relative) | Problem::Tilde => "write the path from `/` on".to_owned(),
            Problem::Unclean { clean } => format!("write \"{clean}\""),
            Problem::Pattern(PatternError::Repository) => "write \".git/hooks\" or another path in it".to_owned(),
            Problem::Pattern(_) => "write a path below the workspace, such as \"ci/deploy.sh\"".to_owned(),
            Problem::Host(error) => error.hint().to_owned(),
            Problem::Ports => "write [443]".to_owned(),
            Problem::Env(NameError::Grammar) => "write one name, such as \"CI\"".to_owned(),
            Problem::Promise => {
                let names: Vec<_> = Promise::ALL.iter().map(|promise| promise.name()).collect();
                format!("promises are {}", names.join(", "))
            }
            Problem::Strength => "write \"prevented\", \"detected\" or \"open\"".to_owned(),
            _ => return None,
        };
        Some(text)
    }
}
