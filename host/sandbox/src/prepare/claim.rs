//! Folders below `STIGMER_HOME/run` that say whether somebody still uses them.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

/// Names tried before giving up: each try fails only when another start swept the folder in the moment between making
/// and locking it.
const TRIES: usize = 8;

/// The right to one folder, as an flock(2) on it: given back when dropped, and by the kernel when everyone who has the
/// descriptor ended, however they ended.
#[derive(Debug)]
pub(crate) struct Claim {
    _folder: File,
}

impl Claim {
    /// Makes `folder`, readable by the person alone, and takes it.
    ///
    /// # Errors
    /// When it cannot be made, is there already, or its file system has no locks.
    pub(crate) fn make(folder: &Path) -> io::Result<Claim> {
        for _ in 0..TRIES {
            std::fs::DirBuilder::new().mode(0o700).create(folder)?;
            match take(folder, FlockOperation::LockExclusive) {
                Ok(Some(claim)) => return Ok(claim),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("other starts took the folder away again and again"))
    }

    /// Takes `folder` if nobody has it. `None` where somebody does, where it is no folder, or where it is not the
    /// caller's.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn left(folder: &Path) -> io::Result<Option<Claim>> {
        match take(folder, FlockOperation::NonBlockingLockExclusive) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            other => other,
        }
    }
}

/// Locks the folder. `None` when the name does not lead to the locked folder any more, or it is another user's.
fn take(folder: &Path, how: FlockOperation) -> io::Result<Option<Claim>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(rustix::fs::CWD, folder, flags, Mode::empty())?);
    while let Err(errno) = flock(file.as_fd(), how) {
        if errno != Errno::INTR {
            return Err(errno.into());
        }
    }
    let (named, held) = (std::fs::symlink_metadata(folder)?, file.metadata()?);
    let same = (named.dev(), named.ino()) == (held.dev(), held.ino());
    let ours = held.uid() == rustix::process::geteuid().as_raw();
    Ok((same && ours).then_some(Claim { _folder: file }))
}
