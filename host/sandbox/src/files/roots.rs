//! The folders that a policy grants, each opened once.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cap_std::fs::Dir;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use stigmer_policy::{Access, JailPath, Policy, RootKind};

use super::draft;
use super::fault::{PathFault, shown};
use super::node::{self, Kind};
use super::turn::{self, Turn};

/// How many files made by this execution are remembered, for [`super::PathFault::HardLinked`]. Past it a file made here
/// counts as foreign, which refuses more, never less.
const MADE_FILES: usize = 1 << 18;

/// How many folders are remembered as swept. Past it all of them are swept once more.
const SWEPT_FOLDERS: usize = 1 << 12;

/// Which file or folder it is, whatever it is called (inode(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
}

impl Identity {
    pub(super) fn of(stat: &rustix::fs::Stat) -> Self {
        Identity { dev: node::wide(stat.st_dev), ino: node::wide(stat.st_ino) }
    }
}

/// Why the granted folders could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// A root could not be opened: missing, a link on the way, no right to look.
    #[error("could not open the root `{}`", shown(path))]
    Open {
        /// The root.
        path: JailPath,
        /// Why.
        source: io::Error,
    },
    /// A root is no folder.
    #[error("the root `{}` is not a directory", shown(path))]
    NotADirectory {
        /// The root.
        path: JailPath,
    },
    /// A root is no longer the folder that was checked before.
    #[error("root changed: `{}` is not the folder that was checked", shown(path))]
    Changed {
        /// The root.
        path: JailPath,
        /// The folder that was checked.
        expected: Identity,
        /// The folder that lies there.
        found: Identity,
    },
    /// A listed system file could not be looked at, though it is there.
    #[error("could not open the system path `{}`", shown(path))]
    System {
        /// The listed path.
        path: JailPath,
        /// Why.
        source: io::Error,
    },
}

impl RootError {
    /// The stable name of the case, for machines.
    #[must_use]
    pub fn case(&self) -> &'static str {
        match self {
            RootError::Open { .. } => "root-not-opened",
            RootError::NotADirectory { .. } => "root-not-a-directory",
            RootError::Changed { .. } => "root-changed",
            RootError::System { .. } => "system-path-not-opened",
        }
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            RootError::Open { source, .. } if source.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                Some("name the folder by its canonical path".to_owned())
            }
            RootError::Changed { .. } => Some("start again, so that the folder is checked anew".to_owned()),
            _ => None,
        }
    }
}

/// What was opened at a granted path.
pub(super) enum At {
    /// A folder, to walk from.
    Folder(Dir),
    /// One listed file, open for reading. Read by position only: the descriptor is shared.
    File(File),
    /// One listed file that this user may not read.
    Unreadable(Errno),
    /// Listed, but neither file nor folder.
    Other(Kind),
}

pub(super) struct Anchor {
    pub(super) path: JailPath,
    pub(super) at: At,
    pub(super) identity: Identity,
}

/// Every folder and file that a policy grants, each opened once, and the policy that is asked before each use.
///
/// Cheap to clone; all clones share the handles and the memory of which files this execution made.
#[derive(Clone)]
pub struct Roots(Arc<Inner>);

struct Inner {
    policy: Policy,
    /// Deepest path first, so that the first match is the longest.
    anchors: Vec<Anchor>,
    made: Mutex<HashSet<Identity>>,
    replacing: Mutex<()>,
    /// Folders in which leftovers of killed writers were looked for.
    swept: Mutex<HashSet<Identity>>,
}

impl Roots {
    /// Opens each root and each listed system path of `policy`. The only place where the file verbs use a path.
    ///
    /// No link is followed on the way to a root: its path is canonical. A system path may be a link of the system's own
    /// (`/bin`); a listed system path that does not exist is left out.
    ///
    /// # Errors
    /// [`RootError`], one variant per case.
    pub fn open(policy: &Policy) -> Result<Self, RootError> {
        Self::open_expecting(policy, &[])
    }

    /// As [`Roots::open`], and refuses a root that is not the folder which `expected` names for it: what the trusted
    /// half checked is then what is used.
    ///
    /// # Errors
    /// [`RootError`], one variant per case.
    pub fn open_expecting(policy: &Policy, expected: &[(JailPath, Identity)]) -> Result<Self, RootError> {
        let mut anchors = Vec::with_capacity(policy.roots.len() + policy.system.len());
        for root in &policy.roots {
            // Tools are granted as the system's files are: single files too, and what is not there is left out.
            if root.kind == RootKind::Tools {
                anchors.extend(open_system(&root.path)?);
                continue;
            }
            let anchor = open_root(&root.path)?;
            match expected.iter().find(|(path, _)| *path == root.path) {
                Some((_, identity)) if *identity != anchor.identity => {
                    return Err(RootError::Changed {
                        path: root.path.clone(),
                        expected: *identity,
                        found: anchor.identity,
                    });
                }
                _ => anchors.push(anchor),
            }
        }
        for path in &policy.system {
            anchors.extend(open_system(path)?);
        }
        anchors.sort_by_key(|anchor| std::cmp::Reverse(anchor.path.depth()));
        Ok(Roots(Arc::new(Inner {
            policy: policy.clone(),
            anchors,
            made: Mutex::default(),
            replacing: Mutex::default(),
            swept: Mutex::default(),
        })))
    }

    /// The policy that every verb asks.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// The handle of the root or listed system folder `path`; `None` for any other path. For walls that need the folder
    /// itself (preopens of a plugin).
    #[must_use]
    pub fn dir(&self, path: &JailPath) -> Option<&Dir> {
        self.0.anchors.iter().find(|anchor| anchor.path == *path).and_then(|anchor| match &anchor.at {
            At::Folder(dir) => Some(dir),
            _ => None,
        })
    }

    /// Which folder or file was opened for `path`, to compare with what another process checks.
    #[must_use]
    pub fn identity(&self, path: &JailPath) -> Option<Identity> {
        self.0.anchors.iter().find(|anchor| anchor.path == *path).map(|anchor| anchor.identity)
    }

    /// The opened path that holds `path` most closely.
    pub(super) fn anchor(&self, path: &JailPath) -> Option<&Anchor> {
        self.0.anchors.iter().find(|anchor| path.is_within(&anchor.path))
    }

    /// Whether code may make links at `path`: the longest root that holds it grants writing. Protected names count as
    /// writable here, since they are held less strongly at some levels.
    pub(super) fn is_writable_root(&self, path: &JailPath) -> bool {
        let holding = self.0.policy.roots.iter().filter(|root| path.is_within(&root.path));
        holding.max_by_key(|root| root.path.depth()).is_some_and(|root| root.access == Access::ReadWrite)
    }

    pub(super) fn made_here(&self, identity: Identity) -> bool {
        self.made().contains(&identity)
    }

    pub(super) fn note_made(&self, identity: Identity) {
        let mut made = self.made();
        if made.len() < MADE_FILES {
            made.insert(identity);
        }
    }

    /// Forgets a file whose name is gone: its inode number may come back as another file's.
    pub(super) fn forget_made(&self, identity: Identity) {
        self.made().remove(&identity);
    }

    fn made(&self) -> MutexGuard<'_, HashSet<Identity>> {
        // The set is whole after any panic: each change is one insert or remove.
        self.0.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes away what killed writers left in `dir`, the first time that something is put there.
    pub(super) fn sweep_once(&self, dir: &Dir) {
        let Ok(stat) = rustix::fs::fstat(dir) else { return };
        {
            // Whole after any panic: a set of numbers.
            let mut swept = self.0.swept.lock().unwrap_or_else(PoisonError::into_inner);
            if swept.len() >= SWEPT_FOLDERS {
                swept.clear();
            }
            if !swept.insert(Identity::of(&stat)) {
                return;
            }
        }
        draft::sweep(dir);
    }

    /// The turn at replacing the file `path` in `dir`, as [`turn::take`].
    pub(super) fn replacing(&self, dir: &Dir, path: &JailPath) -> Result<Turn<'_>, PathFault> {
        turn::take(&self.0.replacing, dir, path)
    }
}

impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.anchors.iter().map(|anchor| anchor.path.as_path())).finish()
    }
}

fn open_root(path: &JailPath) -> Result<Anchor, RootError> {
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let failed = |errno: Errno| RootError::Open { path: path.clone(), source: errno.into() };
    let fd = rustix::fs::openat2(CWD, path.as_path(), flags, Mode::empty(), resolve).map_err(failed)?;
    let stat = rustix::fs::fstat(&fd).map_err(failed)?;
    if node::kind_of(&stat) != Some(Kind::Folder) {
        return Err(RootError::NotADirectory { path: path.clone() });
    }
    Ok(Anchor { path: path.clone(), at: At::Folder(Dir::from(fd)), identity: Identity::of(&stat) })
}

fn open_system(path: &JailPath) -> Result<Option<Anchor>, RootError> {
    let open = |flags| {
        rustix::fs::openat2(CWD, path.as_path(), flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
    };
    let failed = |errno: Errno| RootError::System { path: path.clone(), source: errno.into() };
    let fd = match open(OFlags::PATH) {
        // A path below a folder that this user may not enter is as absent as a missing one.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => return Ok(None),
        other => other.map_err(failed)?,
    };
    let stat = rustix::fs::fstat(&fd).map_err(failed)?;
    let mut identity = Identity::of(&stat);
    let at = match node::kind_of(&stat) {
        Some(Kind::Folder) => At::Folder(Dir::from(fd)),
        Some(Kind::File) => match open(OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
            Err(errno) => At::Unreadable(errno),
            Ok(fd) => {
                let stat = rustix::fs::fstat(&fd).map_err(failed)?;
                identity = Identity::of(&stat);
                match node::kind_of(&stat) {
                    Some(Kind::File) => At::File(File::from(fd)),
                    kind => At::Other(kind.unwrap_or(Kind::Device)),
                }
            }
        },
        kind => At::Other(kind.unwrap_or(Kind::Device)),
    };
    Ok(Some(Anchor { path: path.clone(), at, identity }))
}
