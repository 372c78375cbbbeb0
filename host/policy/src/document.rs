//! The document: what a person writes (TOML), and its one way to a [`Policy`].
//!
//! ```toml
//! extends = "workspace"              # or "read-only"
//!
//! [roots]                            # folders besides the workspace
//! read = ["/data/sets"]
//! write = ["/data/out"]
//!
//! [protected]                        # paths that are readable, never writable
//! add = ["ci/deploy.sh"]
//! remove = [".idea"]
//!
//! [[host]]                           # none: network is off
//! name = "*.example.com"
//! ports = [443]
//!
//! [env]
//! allow = ["CI"]
//!
//! [unix]
//! allow = ["/srv/db/.s.PGSQL.5432"]
//!
//! [limits]
//! command-seconds = 600
//!
//! [minimum]                          # the least strength of a promise
//! protected-paths = "prevented"
//! ```
//!
//! Every key is enforced or rejected; an unknown key is an error, and so is an entry that would change nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

mod check;
mod error;
pub(crate) mod grant;
mod roots;

pub use error::{DocumentError, Problem};

use crate::policy::{Places, Policy};

/// Longest document, in bytes. Hundreds of hosts and folders fit.
pub const MAX_DOCUMENT: usize = 256 << 10;

/// Key of folders that are granted for reading.
pub const READ: &str = "read";
/// Key of folders that are granted for writing.
pub const WRITE: &str = "write";

/// A document as written: its shape is right, its values are not yet looked at.
#[derive(Debug, Clone)]
pub struct Document {
    text: String,
    raw: Raw,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    extends: Option<Spanned<String>>,
    #[serde(default)]
    roots: RawRoots,
    #[serde(default)]
    protected: RawProtected,
    #[serde(default)]
    host: Vec<RawHost>,
    #[serde(default)]
    env: RawAllow,
    #[serde(default)]
    unix: RawAllow,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    minimum: BTreeMap<Spanned<String>, Spanned<String>>,
}

type Texts = Vec<Spanned<String>>;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRoots {
    read: Texts,
    write: Texts,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawProtected {
    add: Texts,
    remove: Texts,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHost {
    name: Spanned<String>,
    ports: Spanned<Vec<Spanned<i64>>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawAllow {
    allow: Texts,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct RawLimits {
    command_seconds: Option<Spanned<i64>>,
    processes: Option<Spanned<i64>>,
    scratch_bytes: Option<Spanned<i64>>,
    descriptors: Option<Spanned<i64>>,
    file_bytes: Option<Spanned<i64>>,
    plugin_memory_bytes: Option<Spanned<i64>>,
    plugin_seconds: Option<Spanned<i64>>,
}

impl Document {
    /// Reads a document's shape: TOML, known keys, right types.
    ///
    /// # Errors
    /// [`DocumentError::Shape`] with line and the parser's words, [`DocumentError::TooLong`].
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        if text.len() > MAX_DOCUMENT {
            return Err(DocumentError::TooLong { bytes: text.len() });
        }
        let raw = toml::from_str(text).map_err(|error| DocumentError::Shape {
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().trim().replace('\n', ", "),
        })?;
        Ok(Document { text: text.to_owned(), raw })
    }

    /// Checks every value and makes the policy for one execution.
    ///
    /// # Errors
    /// [`DocumentError::Value`]: line, key, value and what is wrong with it; the first one in the order of the format.
    pub fn check(&self, places: &Places) -> Result<Policy, DocumentError> {
        check::check(self, places)
    }

    fn line(&self, at: &std::ops::Range<usize>) -> usize {
        line_of(&self.text, at.start)
    }
}

impl Policy {
    /// The policy that a document's text makes for one execution.
    ///
    /// # Errors
    /// As [`Document::parse`] and [`Document::check`].
    pub fn from_document(text: &str, places: &Places) -> Result<Self, DocumentError> {
        Document::parse(text)?.check(places)
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let end = offset.min(text.len());
    text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests;
