//! Which folders can be a workspace.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Person;

/// Folders that are refused themselves. Below `/tmp` a workspace is fine, and services have their homes below `/var/lib`.
const NEVER: &[(&str, &str)] = &[
    ("/", "it is the root of the whole system"),
    ("/tmp", "it is shared by everyone on this machine"),
    ("/var/tmp", "it is shared by everyone on this machine"),
    ("/home", "it holds the homes of everyone on this machine"),
    ("/root", "it is the home folder of root"),
    ("/var", "it is a folder of the system"),
    ("/var/cache", "it is a folder of the system"),
    ("/var/lib", "it is a folder of the system"),
    ("/var/log", "it is a folder of the system"),
    ("/var/spool", "it is a folder of the system"),
    ("/opt", "it is a folder of the system"),
    ("/srv", "it is a folder of the system"),
    ("/mnt", "it is a folder of the system"),
    ("/media", "it is a folder of the system"),
];

/// Folders that are refused with everything below them.
const NEVER_BELOW: &[(&str, &str)] = &[
    ("/proc", "it is no folder of files"),
    ("/sys", "it is no folder of files"),
    ("/dev", "it is no folder of files"),
    ("/run", "services of the system live in it"),
    ("/boot", "it is a folder of the system"),
    ("/etc", "it is a folder of the system"),
    ("/bin", "it is a folder of the system"),
    ("/sbin", "it is a folder of the system"),
    ("/lib", "it is a folder of the system"),
    ("/lib32", "it is a folder of the system"),
    ("/lib64", "it is a folder of the system"),
    ("/libx32", "it is a folder of the system"),
    ("/usr", "it is a folder of the system"),
];

/// Why a folder is refused as a workspace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// Nothing is there, or it may not be looked at.
    #[error("cannot use `{path}` as a workspace")]
    Unreadable {
        /// As typed.
        path: PathBuf,
        /// The kernel's word.
        #[source]
        source: io::Error,
    },
    /// Something else than a folder.
    #[error("cannot use `{path}` as a workspace: it is not a folder")]
    NotAFolder {
        /// As typed.
        path: PathBuf,
    },
    /// A folder that no agent should have.
    #[error("cannot use `{path}` as a workspace: {reason}")]
    Dangerous {
        /// Canonical path.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// The path is not UTF-8, which prompts and policies need.
    #[error("cannot use `{path}` as a workspace: its path is not UTF-8")]
    NotUtf8 {
        /// Canonical path.
        path: PathBuf,
    },
}

impl WorkspaceError {
    /// What to do instead.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            WorkspaceError::Dangerous { .. } => {
                Some("name one project folder: `--workspace DIR` (`--root DIR` for `stigmer sandbox`)".to_owned())
            }
            _ => None,
        }
    }
}

/// Takes a folder as typed and gives its canonical path, if an agent may have it.
///
/// # Errors
/// [`WorkspaceError`], one variant per reason.
pub fn check_workspace(typed: &Path, person: &Person) -> Result<PathBuf, WorkspaceError> {
    let unreadable = |source| WorkspaceError::Unreadable { path: typed.to_owned(), source };
    let path = std::fs::canonicalize(typed).map_err(unreadable)?;
    let metadata = std::fs::metadata(&path).map_err(unreadable)?;
    if !metadata.is_dir() {
        return Err(WorkspaceError::NotAFolder { path: typed.to_owned() });
    }
    // Listing is what every verb begins with; without it the first tool call would fail instead.
    std::fs::read_dir(&path).map_err(unreadable)?;
    if path.to_str().is_none() {
        return Err(WorkspaceError::NotUtf8 { path });
    }
    match danger(&path, metadata.uid(), person) {
        Some(reason) => Err(WorkspaceError::Dangerous { path, reason }),
        None => Ok(path),
    }
}

fn danger(path: &Path, owner: u32, person: &Person) -> Option<&'static str> {
    let canonical = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some((_, reason)) = NEVER.iter().find(|(never, _)| path == Path::new(never)) {
        return Some(reason);
    }
    if let Some((_, reason)) = NEVER_BELOW.iter().find(|(never, _)| path.starts_with(never)) {
        return Some(reason);
    }
    let home = canonical(&person.home);
    if home.starts_with(path) {
        return Some("it is, or holds, your home folder");
    }
    let ours = canonical(&person.stigmer_home);
    if ours.starts_with(path) || path.starts_with(&ours) {
        return Some("it holds, or lies in, the folder where stigmer keeps its own state");
    }
    // Wherever below: what an agent puts in its place is what the person starts next, without walls.
    if canonical(&person.executable).starts_with(path) {
        return Some("it holds the stigmer program itself");
    }
    let uid = rustix::process::geteuid().as_raw();
    if owner != uid && uid != 0 {
        return Some("it belongs to another user");
    }
    None
}
