//! `put`: a whole file, new or in place of another, all at once.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};

use cap_std::fs::Dir;
use rustix::fs::{Access, AtFlags, Gid, Mode, Uid};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use stigmer_policy::JailPath;

use super::change::{Change, ChangeKind, hex};
use super::draft;
use super::fault::{PathFault, shown, verb_error};
use super::node::{self, Kind, Node};
use super::resolve::{Last, Spot, Want, ask, resolve_write};
use super::roots::{Identity, Roots};

/// How to put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutOptions {
    /// Make missing folders on the way.
    pub parents: bool,
    /// Refuse where something is there already.
    pub new_only: bool,
}

impl Default for PutOptions {
    /// Folders are made, files are replaced.
    fn default() -> Self {
        PutOptions { parents: true, new_only: false }
    }
}

/// Why nothing was written. What was at the path before is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The place could not be reached.
    #[error(transparent)]
    Path(#[from] PathFault),
    /// Something is there, and only a new file was wanted.
    #[error("`{}` exists already", shown(path))]
    Exists {
        /// The path.
        path: JailPath,
    },
    /// More bytes than the policy's limit for one file.
    #[error("more than {limit} bytes for `{}`", shown(path))]
    TooLarge {
        /// The path.
        path: JailPath,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The data could not be read from where it comes.
    #[error("could not take the data for `{}`", shown(path))]
    Source {
        /// The path.
        path: JailPath,
        /// Why.
        source: io::Error,
    },
}

verb_error!(PutError,
    case {
        Self::Exists { .. } => "exists",
        Self::TooLarge { .. } => "too-large",
        Self::Source { .. } => "source",
    }
    hint {
        Self::Exists { .. } => Some("edit it, or write to another name".to_owned()),
        _ => None,
    }
);

impl Roots {
    /// Writes all of `data` to `path`: whole or not at all, at the name or at the file that an in-root link at the name
    /// leads to.
    ///
    /// The data goes to a temporary file in the same folder, which then takes the name in one step; a reader sees the
    /// old content or the new. A replaced file keeps its permission bits (without set-id bits) and, where the kernel
    /// allows, its owner; its other attributes are new. Nothing is forced to the disk: after a power cut the old
    /// content may be back. What a killed writer leaves is named `.stigmer-put-*`; no listing or search shows it, and the
    /// first put of the next execution in that folder takes it away.
    /// Folders that were made for a put that then fails stay.
    ///
    /// # Errors
    /// [`PutError`]; a file with further hard links that this execution did not make is refused.
    pub fn put(&self, path: &JailPath, data: &mut dyn Read, options: PutOptions) -> Result<Change, PutError> {
        let spot = resolve_write(self, path, Last::Follow)?;
        let replaced = self.replaceable(&spot)?;
        if options.new_only && replaced.is_some() {
            return Err(PutError::Exists { path: spot.path });
        }
        let made;
        let dir = match spot.rest.as_slice() {
            [_] => &spot.dir,
            _ => {
                made = self.missing_folders(&spot, options.parents)?;
                &made
            }
        };
        let name = spot.name().ok_or_else(|| PathFault::IsDirectory { path: spot.path.clone() })?;
        let goal = Goal { roots: self, dir, name, path: &spot.path, replaced };
        let draft = goal.draft(data)?;
        let lock = self.replacing(dir, &spot.path)?;
        let change = goal.finish(draft, options.new_only);
        drop(lock);
        change
    }

    /// As [`Roots::put`], for data in memory.
    ///
    /// # Errors
    /// [`PutError`].
    pub fn write(&self, path: &JailPath, mut data: &[u8]) -> Result<Change, PutError> {
        self.put(path, &mut data, PutOptions::default())
    }

    /// As [`Roots::write`], and refuses where something is there already.
    ///
    /// # Errors
    /// [`PutError`].
    pub fn write_new(&self, path: &JailPath, mut data: &[u8]) -> Result<Change, PutError> {
        self.put(path, &mut data, PutOptions { new_only: true, ..PutOptions::default() })
    }

    /// The file at `spot`, if one is there and may be replaced.
    pub(super) fn replaceable<'s>(&self, spot: &'s Spot) -> Result<Option<&'s Node>, PathFault> {
        let (Some(node), Some(name)) = (&spot.found, spot.name()) else {
            return match &spot.found {
                Some(_) => Err(PathFault::IsDirectory { path: spot.path.clone() }),
                None => Ok(None),
            };
        };
        node::regular(Some(node.kind), &spot.path)?;
        if node.links() > 1 && !self.made_here(node.identity()) {
            return Err(PathFault::HardLinked { path: spot.path.clone(), links: node.links() });
        }
        // Taking a name needs rights on the folder only; a file that may not be written is left alone all the same.
        match rustix::fs::accessat(&spot.dir, name, Access::WRITE_OK, AtFlags::empty()) {
            Ok(()) => Ok(Some(node)),
            Err(errno) => Err(PathFault::from_errno("write to", &spot.path, errno)),
        }
    }

    /// Makes the folders that `spot` misses and gives the last one. One that appears meanwhile is taken, a link is not.
    pub(super) fn missing_folders(&self, spot: &Spot, allowed: bool) -> Result<Dir, PathFault> {
        let Some((_, folders)) = spot.rest.split_last() else {
            return Err(PathFault::IsDirectory { path: spot.path.clone() });
        };
        let mut at = spot.at.clone();
        let mut dir =
            spot.dir.try_clone().map_err(|source| PathFault::Io { doing: "open", path: spot.at.clone(), source })?;
        for name in folders {
            at = at.join(name).map_err(|_| PathFault::NameTooLong { path: spot.path.clone() })?;
            if !allowed {
                return Err(PathFault::NotFound { path: at });
            }
            ask(self, Want::Write, &at)?;
            match rustix::fs::mkdirat(&dir, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(PathFault::from_errno("make", &at, errno)),
            }
            dir = node::open_folder(&dir, name).map_err(|errno| PathFault::from_errno("open", &at, errno))?;
        }
        Ok(dir)
    }
}

/// A name that is about to get new content.
pub(super) struct Goal<'a> {
    pub(super) roots: &'a Roots,
    pub(super) dir: &'a Dir,
    pub(super) name: &'a OsStr,
    pub(super) path: &'a JailPath,
    /// The file that has the name now.
    pub(super) replaced: Option<&'a Node>,
}

/// Whole content under a temporary name, which goes away unless it is given its own.
pub(super) struct Draft<'a> {
    dir: &'a Dir,
    name: OsString,
    /// Open until the draft has its own name: that says that it is in use.
    file: File,
    identity: Identity,
    bytes: u64,
    sha256: String,
    kept: bool,
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // Nobody is left to tell; the name says what it is.
            let _ = rustix::fs::unlinkat(self.dir, &self.name, AtFlags::empty());
        }
    }
}

impl<'a> Goal<'a> {
    /// Writes `data` under a temporary name beside the goal.
    pub(super) fn draft(&self, data: &mut dyn Read) -> Result<Draft<'a>, PutError> {
        let failed = |errno| PathFault::from_errno("write to", self.path, errno);
        // A replacement may hold what the old file's mode hid, so it is private until it has that mode.
        let mode = if self.replaced.is_some() { 0o600 } else { 0o666 };
        self.roots.sweep_once(self.dir);
        let (name, file) = draft::create(self.dir, mode).map_err(failed)?;
        let mut draft = Draft {
            dir: self.dir,
            name,
            file,
            identity: Identity { dev: 0, ino: 0 },
            bytes: 0,
            sha256: String::new(),
            kept: false,
        };
        draft.identity = Identity::of(&rustix::fs::fstat(&draft.file).map_err(failed)?);
        self.fill(&mut draft, data)?;
        if let Some(old) = self.replaced {
            self.dress(&draft.file, &old.stat)?;
        }
        Ok(draft)
    }

    fn fill(&self, draft: &mut Draft<'a>, data: &mut dyn Read) -> Result<(), PutError> {
        let limit = self.roots.policy().limits.file_bytes;
        let mut hash = Sha256::new();
        let mut chunk = vec![0; 64 << 10];
        loop {
            let count = match data.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(PutError::Source { path: self.path.clone(), source }),
            };
            draft.bytes += count as u64;
            if draft.bytes > limit {
                return Err(PutError::TooLarge { path: self.path.clone(), limit });
            }
            hash.update(&chunk[..count]);
            draft.file.write_all(&chunk[..count]).map_err(|source| PathFault::Io {
                doing: "write to",
                path: self.path.clone(),
                source,
            })?;
        }
        draft.sha256 = hex(hash);
        Ok(())
    }

    /// Gives the draft the owner and permission bits of the file that it replaces.
    fn dress(&self, file: &File, old: &rustix::fs::Stat) -> Result<(), PathFault> {
        let failed = |errno| PathFault::from_errno("set the mode of", self.path, errno);
        let new = rustix::fs::fstat(file).map_err(failed)?;
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid) {
            let (uid, gid) = (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid));
            match rustix::fs::fchown(file, Some(uid), Some(gid)) {
                // An ordinary user may give a file to nobody else (chown(2)): it then stays the writer's. EINVAL is an
                // owner that the user namespace does not know.
                Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(old.st_mode & 0o777)).map_err(failed)
    }

    /// Lets the draft take the name. The caller holds [`Roots::replacing`].
    pub(super) fn finish(&self, mut draft: Draft<'a>, new_only: bool) -> Result<Change, PutError> {
        let failed = |errno| match errno {
            Errno::EXIST if new_only => PutError::Exists { path: self.path.clone() },
            errno => PathFault::from_errno("replace", self.path, errno).into(),
        };
        let seen = rustix::fs::statat(self.dir, &draft.name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if Identity::of(&seen) != draft.identity {
            // Somebody took the temporary name away; what has it now is theirs.
            draft.kept = true;
            return Err(PathFault::ChangedMeanwhile { path: self.path.clone() }.into());
        }
        if new_only {
            node::take_free_name((self.dir, &draft.name), (self.dir, self.name), Kind::File).map_err(failed)?;
        } else {
            rustix::fs::renameat(self.dir, &draft.name, self.dir, self.name).map_err(failed)?;
        }
        draft.kept = true;
        if let Some(old) = self.replaced {
            self.roots.forget_made(old.identity());
        }
        self.roots.note_made(draft.identity);
        let kind = if self.replaced.is_some() { ChangeKind::Changed } else { ChangeKind::Created };
        let sha256 = Some(std::mem::take(&mut draft.sha256));
        Ok(Change { path: self.path.clone(), kind, bytes: draft.bytes, sha256 })
    }
}
