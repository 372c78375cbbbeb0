//! Whole folders: what lies in one, asked of the policy name by name, and taking one away.

use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;

use cap_std::fs::Dir;
use rustix::fs::AtFlags;
use rustix::io::Errno;
use stigmer_policy::JailPath;

use super::fault::{PathFault, shown};
use super::node::{self, Kind};
use super::resolve::{Want, ask};
use super::roots::{Identity, Roots};
use super::walk::{MAX_DEPTH, MAX_ENTRIES};

/// Why a whole folder could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeFault {
    /// Something in it could not be reached, or may not be changed.
    #[error(transparent)]
    Path(#[from] PathFault),
    /// More than [`MAX_ENTRIES`] names.
    #[error("`{}` holds more than {MAX_ENTRIES} names", shown(path))]
    TooMany {
        /// The folder that was asked for.
        path: JailPath,
    },
    /// Folders nest deeper than [`MAX_DEPTH`].
    #[error("`{}` lies more than {MAX_DEPTH} folders deep", shown(path))]
    TooDeep {
        /// The folder that was not entered.
        path: JailPath,
    },
}

/// What a folder held.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    /// Everything but folders.
    pub(super) files: u64,
    pub(super) folders: u64,
    /// Size of the regular files.
    pub(super) bytes: u64,
}

/// Asks the policy about every name below `dir`, which is `at`, as it is called now and, with `moved_to`, as it would be
/// called then. Changes nothing.
pub(super) fn survey(roots: &Roots, dir: &Dir, at: &JailPath, moved_to: Option<&JailPath>) -> Result<Count, TreeFault> {
    let mut tree = Tree { roots, top: at, left: MAX_ENTRIES, count: Count::default() };
    tree.survey(dir, at, moved_to, 0)?;
    Ok(tree.count)
}

/// Removes everything below `dir`, which is `at`. Links are removed, never followed. The policy is asked about each
/// name once more, so that what appeared after a survey is not carried away.
pub(super) fn empty(roots: &Roots, dir: &Dir, at: &JailPath) -> Result<Count, TreeFault> {
    let mut tree = Tree { roots, top: at, left: MAX_ENTRIES, count: Count::default() };
    tree.empty(dir, at, 0)?;
    Ok(tree.count)
}

struct Tree<'a> {
    roots: &'a Roots,
    top: &'a JailPath,
    left: usize,
    count: Count,
}

impl Tree<'_> {
    fn survey(&mut self, dir: &Dir, at: &JailPath, to: Option<&JailPath>, depth: usize) -> Result<(), TreeFault> {
        for name in self.names(dir, at, depth)? {
            let path = join(at, &name)?;
            let to = to.map(|to| join(to, &name)).transpose()?;
            ask(self.roots, Want::Write, &path)?;
            if let Some(to) = &to {
                ask(self.roots, Want::Write, to)?;
            }
            let Some(node) = look(dir, &name, &path)? else { continue };
            match node.kind {
                Kind::Folder => {
                    self.count.folders += 1;
                    let inner = open(dir, &name, &path)?;
                    self.survey(&inner, &path, to.as_ref(), depth + 1)?;
                }
                kind => self.count_file(kind, &node),
            }
        }
        Ok(())
    }

    fn empty(&mut self, dir: &Dir, at: &JailPath, depth: usize) -> Result<(), TreeFault> {
        for name in self.names(dir, at, depth)? {
            let path = join(at, &name)?;
            ask(self.roots, Want::Write, &path)?;
            let Some(node) = look(dir, &name, &path)? else { continue };
            if node.kind == Kind::Folder {
                let inner = open(dir, &name, &path)?;
                self.empty(&inner, &path, depth + 1)?;
                unlink(dir, &name, &path, AtFlags::REMOVEDIR)?;
                self.count.folders += 1;
            } else {
                unlink(dir, &name, &path, AtFlags::empty())?;
                self.count_file(node.kind, &node);
                forget(self.roots, &node);
            }
        }
        Ok(())
    }

    fn count_file(&mut self, kind: Kind, node: &node::Node) {
        self.count.files += 1;
        if kind == Kind::File {
            self.count.bytes = self.count.bytes.saturating_add(node::size(&node.stat));
        }
    }

    fn names(&mut self, dir: &Dir, at: &JailPath, depth: usize) -> Result<Vec<OsString>, TreeFault> {
        if depth >= MAX_DEPTH {
            return Err(TreeFault::TooDeep { path: at.clone() });
        }
        let mut names = Vec::new();
        let mut full = false;
        node::each_name(dir, |name, _| {
            full = self.left == 0;
            if full {
                return ControlFlow::Break(());
            }
            self.left -= 1;
            names.push(name.to_owned());
            ControlFlow::Continue(())
        })
        .map_err(|errno| PathFault::from_errno("list", at, errno))?;
        if full { Err(TreeFault::TooMany { path: self.top.clone() }) } else { Ok(names) }
    }
}

/// Forgets a removed file, unless it has further names.
pub(super) fn forget(roots: &Roots, node: &node::Node) {
    if node.links() <= 1 {
        roots.forget_made(Identity::of(&node.stat));
    }
}

fn join(at: &JailPath, name: &OsStr) -> Result<JailPath, PathFault> {
    at.join(name).map_err(|_| PathFault::NameTooLong { path: at.clone() })
}

/// `None` for what is gone since the folder was read.
fn look(dir: &Dir, name: &OsStr, path: &JailPath) -> Result<Option<node::Node>, PathFault> {
    match node::look(dir, name) {
        Ok(node) => Ok(Some(node)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(PathFault::from_errno("look at", path, errno)),
    }
}

fn open(dir: &Dir, name: &OsStr, path: &JailPath) -> Result<Dir, PathFault> {
    node::open_folder(dir, name).map_err(|errno| PathFault::from_errno("open", path, errno))
}

/// Takes a name away. What is gone already is no failure; a folder that filled again meanwhile is.
pub(super) fn unlink(dir: &Dir, name: &OsStr, path: &JailPath, flags: AtFlags) -> Result<(), PathFault> {
    match rustix::fs::unlinkat(dir, name, flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Err(PathFault::ChangedMeanwhile { path: path.clone() }),
        Err(errno) => Err(PathFault::from_errno("remove", path, errno)),
    }
}
