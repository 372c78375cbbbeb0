//! `delete`: a file, a link, or a whole folder.

use rustix::fs::AtFlags;
use rustix::io::Errno;
use stigmer_policy::JailPath;

use super::change::{Change, ChangeKind};
use super::draft;
use super::fault::{PathFault, shown, verb_error};
use super::node::{self, Kind};
use super::resolve::{Last, resolve_write};
use super::roots::Roots;
use super::tree::{self, TreeFault};

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The path that is gone; `bytes` is the size of all regular files in it.
    pub change: Change,
    /// Files, links and the like that are gone.
    pub files: u64,
    /// Folders that are gone.
    pub folders: u64,
}

/// Why something was not removed. Where the policy refused, nothing was; where the kernel refused in the middle of a
/// folder, part of it may be gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeleteError {
    /// The place could not be reached, or something in it may not be changed.
    #[error(transparent)]
    Path(#[from] PathFault),
    /// A root itself.
    #[error("`{}` is a root", shown(path))]
    IsRoot {
        /// The root.
        path: JailPath,
    },
    /// A folder with something in it, and `recursive` was not asked for.
    #[error("`{}` is a directory that is not empty", shown(path))]
    NotEmpty {
        /// The folder.
        path: JailPath,
    },
    /// The folder is too large or too deep.
    #[error(transparent)]
    Tree(TreeFault),
}

impl From<TreeFault> for DeleteError {
    fn from(fault: TreeFault) -> Self {
        match fault {
            TreeFault::Path(fault) => DeleteError::Path(fault),
            fault => DeleteError::Tree(fault),
        }
    }
}

verb_error!(DeleteError,
    case {
        Self::IsRoot { .. } => "is-a-root",
        Self::NotEmpty { .. } => "not-empty",
        Self::Tree(_) => "too-large",
    }
    hint {
        Self::IsRoot { .. } => Some("delete what is in it".to_owned()),
        Self::NotEmpty { .. } => Some("ask for the whole folder".to_owned()),
        Self::Tree(_) => Some("delete it in parts".to_owned()),
    }
);

impl Roots {
    /// Removes what `path` names. A link in the last place is removed itself, and no link inside a folder is followed.
    ///
    /// Before anything of a folder goes, the policy is asked about every name in it: one protected name in it refuses
    /// the whole.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub fn delete(&self, path: &JailPath, recursive: bool) -> Result<Removal, DeleteError> {
        let spot = resolve_write(self, path, Last::Keep)?;
        let found = spot.existing()?;
        let Some(name) = spot.name() else { return Err(DeleteError::IsRoot { path: spot.path }) };
        let gone = |bytes, files, folders| Removal {
            change: Change { path: spot.path.clone(), kind: ChangeKind::Removed, bytes, sha256: None },
            files,
            folders,
        };
        if found.kind != Kind::Folder {
            tree::unlink(&spot.dir, name, &spot.path, AtFlags::empty())?;
            tree::forget(self, found);
            let bytes = if found.kind == Kind::File { node::size(&found.stat) } else { 0 };
            return Ok(gone(bytes, 1, 0));
        }
        // A root that lies in this one would go with it.
        if self.policy().roots.iter().any(|root| root.path.is_within(&spot.path)) {
            return Err(DeleteError::IsRoot { path: spot.path });
        }
        let dir = spot.folder()?;
        tree::survey(self, &dir, &spot.path, None)?;
        if !recursive {
            // What no listing shows must not keep an empty folder.
            draft::sweep(&dir);
        }
        let removed = if recursive { tree::empty(self, &dir, &spot.path)? } else { tree::Count::default() };
        match rustix::fs::unlinkat(&spot.dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(gone(removed.bytes, removed.files, removed.folders + 1)),
            Err(Errno::NOTEMPTY | Errno::EXIST) if !recursive => Err(DeleteError::NotEmpty { path: spot.path.clone() }),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Err(PathFault::ChangedMeanwhile { path: spot.path.clone() }.into()),
            Err(errno) => Err(PathFault::from_errno("remove", &spot.path, errno).into()),
        }
    }
}
