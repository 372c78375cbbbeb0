//! `rename`: another name for a file, link or folder.

use rustix::io::Errno;
use stigmer_policy::JailPath;

use super::change::{Change, ChangeKind};
use super::fault::{PathFault, shown, verb_error};
use super::node::{self, Kind};
use super::resolve::{Last, resolve_write};
use super::roots::Roots;
use super::tree::{self, TreeFault};

/// Why nothing was renamed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenameError {
    /// One of the places could not be reached, or something in the folder may not be changed.
    #[error(transparent)]
    Path(#[from] PathFault),
    /// A root itself.
    #[error("`{}` is a root", shown(path))]
    IsRoot {
        /// The root.
        path: JailPath,
    },
    /// Something has the new name.
    #[error("`{}` exists already", shown(path))]
    Exists {
        /// The new name.
        path: JailPath,
    },
    /// A folder cannot move into itself.
    #[error("`{}` lies in `{}`", shown(to), shown(from))]
    IntoItself {
        /// The folder.
        from: JailPath,
        /// The new name.
        to: JailPath,
    },
    /// The two places are on different file systems.
    #[error("`{}` and `{}` are on different file systems", shown(from), shown(to))]
    AcrossFileSystems {
        /// The old name.
        from: JailPath,
        /// The new name.
        to: JailPath,
    },
    /// The folder is too large or too deep to be asked about.
    #[error(transparent)]
    Tree(TreeFault),
}

impl From<TreeFault> for RenameError {
    fn from(fault: TreeFault) -> Self {
        match fault {
            TreeFault::Path(fault) => RenameError::Path(fault),
            fault => RenameError::Tree(fault),
        }
    }
}

verb_error!(RenameError,
    case {
        Self::IsRoot { .. } => "is-a-root",
        Self::Exists { .. } => "exists",
        Self::IntoItself { .. } => "into-itself",
        Self::AcrossFileSystems { .. } => "across-file-systems",
        Self::Tree(_) => "too-large",
    }
    hint {
        Self::Exists { .. } => Some("delete it first".to_owned()),
        Self::AcrossFileSystems { .. } => Some("copy it, then delete the old one".to_owned()),
        Self::Tree(_) => Some("move it in parts".to_owned()),
        _ => None,
    }
);

impl Roots {
    /// Gives `from` the name `to`. A link is renamed itself; a folder that holds something protected, or whose content
    /// would be protected under the new name, stays. The folder of `to` must exist; with `replace` a file at `to` gives
    /// way, in one step.
    ///
    /// # Errors
    /// [`RenameError`].
    pub fn rename(&self, from: &JailPath, to: &JailPath, replace: bool) -> Result<Change, RenameError> {
        let old = resolve_write(self, from, Last::Keep)?;
        let new = resolve_write(self, to, Last::Keep)?;
        let found = old.existing()?;
        let Some(old_name) = old.name() else { return Err(RenameError::IsRoot { path: old.path }) };
        let Some(new_name) = new.name() else { return Err(RenameError::IsRoot { path: new.path }) };
        if new.rest.len() > 1 {
            let missing = new.at.join(&new.rest[0]).map_err(|_| PathFault::NameTooLong { path: new.path })?;
            return Err(PathFault::NotFound { path: missing }.into());
        }
        match &new.found {
            Some(_) if !replace => return Err(RenameError::Exists { path: new.path }),
            Some(node) if node.kind == Kind::Folder => return Err(PathFault::IsDirectory { path: new.path }.into()),
            _ => {}
        }
        if found.kind == Kind::Folder {
            if new.path.is_within(&old.path) {
                return Err(RenameError::IntoItself { from: old.path, to: new.path });
            }
            if self.policy().roots.iter().any(|root| root.path.is_within(&old.path)) {
                return Err(RenameError::IsRoot { path: old.path });
            }
            tree::survey(self, &old.folder()?, &old.path, Some(&new.path))?;
        }
        let lock = self.replacing(&new.dir, &new.path)?;
        let renamed = if replace {
            rustix::fs::renameat(&old.dir, old_name, &new.dir, new_name)
        } else {
            node::take_free_name((&old.dir, old_name), (&new.dir, new_name), found.kind)
        };
        drop(lock);
        match renamed {
            Ok(()) => {}
            Err(Errno::XDEV) => return Err(RenameError::AcrossFileSystems { from: old.path, to: new.path }),
            Err(Errno::EXIST | Errno::NOTEMPTY) => return Err(RenameError::Exists { path: new.path }),
            Err(errno) => return Err(PathFault::from_errno("rename", &old.path, errno).into()),
        }
        if let Some(replaced) = &new.found {
            tree::forget(self, replaced);
        }
        let bytes = if found.kind == Kind::File { node::size(&found.stat) } else { 0 };
        let kind = ChangeKind::Renamed { from: old.path.clone() };
        Ok(Change { path: new.path, kind, bytes, sha256: None })
    }
}
