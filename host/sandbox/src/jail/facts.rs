//! What the trusted half finds on the host before a jail is planned: the only look at ambient paths.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stigmer_policy::{Policy, RootKind};

/// Device nodes that programs need; nothing else of the host's `/dev` is seen.
pub(crate) const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];

/// Device and inode: the identity of a folder, whatever it is called later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Device number (`st_dev`).
    pub device: u64,
    /// Inode number (`st_ino`).
    pub inode: u64,
}

/// What lies at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A folder, with its canonical path.
    Folder(PathBuf, Identity),
    /// A regular file or device, with its canonical path.
    File(PathBuf, Identity),
    /// A symbolic link with its text; only for listed system paths, which are reproduced as they are.
    Link(PathBuf),
}

impl Entry {
    /// Which object it is; a link is reproduced by its text.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match self {
            Entry::Folder(_, identity) | Entry::File(_, identity) => Some(*identity),
            Entry::Link(_) => None,
        }
    }
}

/// Facts about the host that a plan is made from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFacts {
    entries: BTreeMap<PathBuf, Entry>,
    /// User id of the person.
    pub uid: u32,
    /// Group id of the person.
    pub gid: u32,
}

impl HostFacts {
    /// Looks at every path that `policy` names.
    ///
    /// # Errors
    /// When a root cannot be looked at: a plan without it would silently be another one.
    pub fn gather(policy: &Policy) -> Result<HostFacts, FactError> {
        let mut entries = BTreeMap::new();
        for path in &policy.system {
            if let Some(entry) = look(path.as_path(), true).map_err(|source| FactError::new(path.as_path(), source))? {
                entries.insert(path.as_path().to_owned(), entry);
            }
        }
        for name in DEVICES {
            let path = Path::new("/dev").join(name);
            if let Some(entry) = look(&path, false).map_err(|source| FactError::new(&path, source))? {
                entries.insert(path, entry);
            }
        }
        for root in &policy.roots {
            // Scratch and home are made, not found, where the jail has its own mounts.
            match look(root.path.as_path(), false) {
                Ok(Some(entry)) => drop(entries.insert(root.path.as_path().to_owned(), entry)),
                Ok(None) if matches!(root.kind, RootKind::Scratch | RootKind::Home | RootKind::Tools) => {}
                Ok(None) => {
                    let source = io::Error::from(io::ErrorKind::NotFound);
                    return Err(FactError::new(root.path.as_path(), source));
                }
                Err(source) => return Err(FactError::new(root.path.as_path(), source)),
            }
        }
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Ok(HostFacts { entries, uid, gid })
    }

    /// What lies at `path`, if it was looked at and is there.
    #[must_use]
    pub fn entry(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Facts made by hand, for plans that are only looked at.
    #[must_use]
    pub fn with(entries: impl IntoIterator<Item = (PathBuf, Entry)>, uid: u32, gid: u32) -> HostFacts {
        HostFacts { entries: entries.into_iter().collect(), uid, gid }
    }
}

/// A path that the policy names could not be looked at.
#[derive(Debug, thiserror::Error)]
#[error("could not look at `{path}`")]
pub struct FactError {
    /// The path.
    pub path: PathBuf,
    /// The kernel's word.
    #[source]
    pub source: io::Error,
}

impl FactError {
    fn new(path: &Path, source: io::Error) -> FactError {
        FactError { path: path.to_owned(), source }
    }
}

fn look(path: &Path, links: bool) -> io::Result<Option<Entry>> {
    let absent = |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if absent(&error) => return Ok(None),
        // A folder of the system that this person may not even look into is not there for them.
        Err(error) if links && error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(error),
    };
    if links && metadata.is_symlink() {
        return Ok(Some(Entry::Link(std::fs::read_link(path)?)));
    }
    let canonical = match std::fs::canonicalize(path) {
        Ok(canonical) => canonical,
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = std::fs::metadata(&canonical)?;
    let identity = Identity { device: metadata.dev(), inode: metadata.ino() };
    Ok(Some(if metadata.is_dir() { Entry::Folder(canonical, identity) } else { Entry::File(canonical, identity) }))
}
