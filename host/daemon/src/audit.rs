//! The audit log: one JSON object a line, appended only, each row chained to the one before by its hash.
//!
//! Whoever changes, removes or inserts a row breaks the chain ([`verify`]); whoever cuts the end or rewrites all of it
//! disagrees with the head that the database anchors.
#![expect(clippy::disallowed_methods, reason = "a composition root: the daemon owns its home folder")]

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Form of a row; raised when a reader of the former would misread it.
pub const SCHEMA: u32 = 1;

/// Largest log, in bytes. A daemon that has reached it refuses what it would have to record, until it is pruned: a
/// refusal is better than a denial without a row.
pub const MAX_BYTES: u64 = 256 << 20;

/// Longest line that a reader takes, in bytes; rows of ours are far below.
const MAX_LINE: usize = 64 << 10;

/// A denial, for the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Unix milliseconds.
    pub time_ms: i64,
    /// The execution.
    pub execution: String,
    /// Name of the rule.
    pub rule: String,
    /// What was asked for.
    pub subject: String,
    /// Why it was refused.
    pub reason: String,
    /// Who saw it: `daemon`, `egress`, `init`, `runner`.
    pub observer: String,
    /// Which wall; empty: none of them.
    pub wall: String,
    /// How often, in all, up to now.
    pub count: u64,
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditLine {
    /// [`SCHEMA`] of the writer.
    pub schema: u32,
    /// From 1, without gaps.
    pub seq: u64,
    /// The row.
    pub row: AuditRow,
    /// Hash of the line before; empty for the first.
    pub prev_hash: String,
    /// SHA-256, lower-case hex, over `prev_hash`, a line feed, `schema`, a line feed, `seq`, a line feed and the row's
    /// JSON.
    pub hash: String,
}

/// The last line that counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// Its number; 0: there is none.
    pub seq: u64,
    /// Its hash; empty: there is none.
    pub hash: String,
}

/// Why the log cannot be written or does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The file could not be used.
    #[error("could not use the audit log `{path}`")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A line is not one of ours.
    #[error("line {line} of the audit log is not a row")]
    Malformed {
        /// From 1.
        line: u64,
    },
    /// A line does not follow from the one before.
    #[error("line {line} of the audit log breaks the chain: {what}")]
    Broken {
        /// From 1.
        line: u64,
        /// What differs.
        what: &'static str,
    },
    /// The file ends before the anchored head, or passes it with another row.
    #[error("the audit log does not hold row {seq}, which the database anchors")]
    Anchor {
        /// The anchored row.
        seq: u64,
    },
    /// [`MAX_BYTES`] are reached.
    #[error("the audit log is full")]
    Full,
}

/// The open log.
#[derive(Debug)]
pub struct AuditLog {
    path: PathBuf,
    file: File,
    head: Head,
    bytes: u64,
}

impl AuditLog {
    /// Opens or makes the log, and checks its whole chain. A last line that was cut by a crash is taken away: its write
    /// was never acknowledged.
    ///
    /// # Errors
    /// [`AuditError::Broken`] and [`AuditError::Malformed`] when the chain does not hold.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        let failed = |source| AuditError::File { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let file = options.open(path).map_err(failed)?;
        let checked = read(path, None)?;
        if checked.cut {
            file.set_len(checked.bytes).map_err(failed)?;
        }
        Ok(AuditLog { path: path.to_owned(), file, head: checked.head, bytes: checked.bytes })
    }

    /// Compares with the head that the database holds. Rows after it are kept: they were written, and their commit was
    /// lost with the process.
    ///
    /// # Errors
    /// [`AuditError::Anchor`].
    pub fn anchor(&mut self, anchored: Head) -> Result<(), AuditError> {
        read(&self.path, Some(&anchored)).map(drop)
    }

    /// Appends a row and gives the new head. The line is with the kernel when this returns.
    ///
    /// # Errors
    /// [`AuditError::Full`]; [`AuditError::File`].
    pub fn append(&mut self, row: AuditRow) -> Result<Head, AuditError> {
        let seq = self.head.seq + 1;
        let hash = hash(&self.head.hash, SCHEMA, seq, &row);
        let line = AuditLine { schema: SCHEMA, seq, row, prev_hash: self.head.hash.clone(), hash: hash.clone() };
        let mut text = serde_json::to_vec(&line).expect("strings and numbers are JSON");
        text.push(b'\n');
        if self.bytes + text.len() as u64 > MAX_BYTES {
            return Err(AuditError::Full);
        }
        let failed = |source| AuditError::File { path: self.path.clone(), source };
        if let Err(source) = self.file.write_all(&text) {
            // Half a line would break the chain for every later one.
            self.file.set_len(self.bytes).map_err(failed)?;
            return Err(failed(source));
        }
        self.bytes += text.len() as u64;
        self.head = Head { seq, hash };
        Ok(self.head.clone())
    }
}

/// Checks every line of the log at `path` and that it holds the anchored head. Gives the file's own head.
///
/// # Errors
/// [`AuditError`], naming the first line that does not hold.
pub fn verify(path: &Path, anchored: &Head) -> Result<Head, AuditError> {
    let checked = read(path, Some(anchored))?;
    if checked.cut {
        return Err(AuditError::Malformed { line: checked.head.seq + 1 });
    }
    Ok(checked.head)
}

struct Checked {
    head: Head,
    /// Bytes of the whole lines.
    bytes: u64,
    /// The file ends inside a line.
    cut: bool,
}

fn read(path: &Path, anchored: Option<&Head>) -> Result<Checked, AuditError> {
    let failed = |source| AuditError::File { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut checked = Checked { head: Head::default(), bytes: 0, cut: false };
    let mut seen = anchored.is_none_or(|head| head.seq == 0);
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let length = std::io::Read::take(&mut file, MAX_LINE as u64).read_until(b'\n', &mut text).map_err(failed)?;
        if length == 0 {
            break;
        }
        if text.last() != Some(&b'\n') {
            if length == MAX_LINE {
                return Err(AuditError::Malformed { line });
            }
            checked.cut = true;
            break;
        }
        let row: AuditLine = serde_json::from_slice(&text).map_err(|_| AuditError::Malformed { line })?;
        checked.head = follow(&checked.head, row, line)?;
        checked.bytes += length as u64;
        seen |= anchored.is_some_and(|head| *head == checked.head);
    }
    match anchored {
        Some(head) if !seen => Err(AuditError::Anchor { seq: head.seq }),
        _ => Ok(checked),
    }
}

fn follow(before: &Head, line: AuditLine, number: u64) -> Result<Head, AuditError> {
    let broken = |what| Err(AuditError::Broken { line: number, what });
    if line.schema != SCHEMA {
        return broken("another schema");
    }
    if line.seq != before.seq + 1 {
        return broken("number");
    }
    if line.prev_hash != before.hash {
        return broken("hash of the row before");
    }
    if line.hash != hash(&line.prev_hash, line.schema, line.seq, &line.row) {
        return broken("its own hash");
    }
    Ok(Head { seq: line.seq, hash: line.hash })
}

fn hash(previous: &str, schema: u32, seq: u64, row: &AuditRow) -> String {
    let row = serde_json::to_string(row).expect("strings and numbers are JSON");
    crate::hex(&Sha256::digest(format!("{previous}\n{schema}\n{seq}\n{row}")))
}

#[cfg(test)]
mod tests;
