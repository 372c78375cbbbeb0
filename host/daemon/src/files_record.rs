//! Which files an execution changed, as the trusted half sees it: the workspace before and after, by its own walk.
//!
//! Every name is resolved from the workspace's descriptor, beneath it and without following symbolic links, so that
//! what an execution left behind cannot lead the walk elsewhere.

mod hash;
mod snapshot;
mod walk;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub use snapshot::Snapshot;

use crate::store::FileRow;
use snapshot::{Entry, Kind};

/// Entries that one walk looks at; a larger workspace gives a record that says so.
pub const MAX_ENTRIES: usize = 200_000;
/// Bytes of one file that are hashed; a larger one has no digest in the record.
pub const MAX_HASHED: u64 = 1 << 30;
/// Files of one record; further ones are left out, and the record says so.
pub const MAX_FILES: usize = 50_000;

/// Why a workspace could not be walked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalkError {
    /// The folder itself could not be opened.
    #[error("could not open the workspace `{path}`")]
    Open {
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The former state cannot be read.
    #[error("the stored state of the workspace cannot be read")]
    Baseline,
    /// The thread that walked is gone.
    #[error("the walk was given up")]
    GivenUp,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// By path.
    pub files: Vec<FileRow>,
    /// A bound was reached, or a folder could not be read: there may be more.
    pub partial: bool,
}

/// The state of a workspace: metadata of everything that is no folder.
///
/// # Errors
/// [`WalkError::Open`].
pub async fn snapshot(workspace: PathBuf) -> Result<Snapshot, WalkError> {
    blocking(move || walk::walk(&workspace).map(|(_, snapshot)| snapshot)).await
}

/// What is different from `baseline`, which [`Snapshot::to_bytes`] wrote. `reported` names the wall of a path where the
/// runner said so (absolute, or relative to the workspace); every other change is the shell's.
///
/// # Errors
/// [`WalkError`].
pub async fn changes(
    workspace: PathBuf,
    baseline: Vec<u8>,
    reported: Vec<(String, String)>,
) -> Result<Record, WalkError> {
    blocking(move || {
        let before = Snapshot::from_bytes(&baseline).ok_or(WalkError::Baseline)?;
        let (root, after) = walk::walk(&workspace)?;
        Ok(compare(&workspace, &root, &before, &after, &reported))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WalkError> + Send + 'static,
) -> Result<T, WalkError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| WalkError::GivenUp)?
}

fn compare(
    workspace: &Path,
    root: &std::os::fd::OwnedFd,
    before: &Snapshot,
    after: &Snapshot,
    reported: &[(String, String)],
) -> Record {
    let walls: HashMap<&str, &str> = reported
        .iter()
        .filter(|(_, wall)| ["file-tool", "plugin"].contains(&wall.as_str()))
        .map(|(path, wall)| (relative(workspace, path), wall.as_str()))
        .collect();
    let old: HashMap<&[u8], &Entry> = before.entries.iter().map(|entry| (&entry.path[..], entry)).collect();
    let new: HashMap<&[u8], &Entry> = after.entries.iter().map(|entry| (&entry.path[..], entry)).collect();
    let mut files = Vec::new();
    let row = |entry: &Entry, change, size, sha256| {
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        let wall = (*walls.get(path.as_str()).unwrap_or(&"shell")).to_owned();
        FileRow { path, change, size, sha256, wall }
    };
    for entry in &after.entries {
        let change = match old.get(&entry.path[..]) {
            None => "created",
            Some(before) if *before != entry => "changed",
            Some(_) => continue,
        };
        let sha256 = if entry.kind == Kind::File { hash::file(root, entry).unwrap_or_default() } else { String::new() };
        files.push(row(entry, change, entry.size, sha256));
    }
    // What a walk did not reach is not known to be gone.
    if !after.partial {
        let removed = before.entries.iter().filter(|entry| !new.contains_key(&entry.path[..]));
        files.extend(removed.map(|entry| row(entry, "removed", 0, String::new())));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    // Names that are not UTF-8 can look the same; the record holds each look once.
    files.dedup_by(|a, b| a.path == b.path);
    let partial = before.partial || after.partial || files.len() > MAX_FILES;
    files.truncate(MAX_FILES);
    Record { files, partial }
}

fn relative<'a>(workspace: &Path, path: &'a str) -> &'a str {
    match Path::new(path).strip_prefix(workspace) {
        Ok(below) => below.to_str().unwrap_or(path),
        Err(_) => path.trim_start_matches("./"),
    }
}

#[cfg(test)]
mod tests;
