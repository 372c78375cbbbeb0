//! What a verb changed, for the record of changed files.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use stigmer_policy::JailPath;

/// How a name changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// Nothing was there before.
    Created,
    /// A file was replaced by new content.
    Changed,
    /// A file, link or folder is gone.
    Removed,
    /// It was called `from` before.
    Renamed {
        /// The old name.
        from: JailPath,
    },
}

impl ChangeKind {
    /// The name in records: `created`, `changed`, `removed`, `renamed`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            ChangeKind::Created => "created",
            ChangeKind::Changed => "changed",
            ChangeKind::Removed => "removed",
            ChangeKind::Renamed { .. } => "renamed",
        }
    }
}

/// One change that a verb made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it happened: the resolved place, so a write through a link names the file that was written.
    pub path: JailPath,
    /// What happened.
    pub kind: ChangeKind,
    /// Size of what was written, renamed or removed, in bytes; 0 for folders and links.
    pub bytes: u64,
    /// Lower-case hex digest of the written content; `None` where nothing was written.
    pub sha256: Option<String>,
}

/// Finishes `hash` as lower-case hex.
pub(super) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
