//! `stat`: what lies at a path.

use std::time::{Duration, SystemTime};

use rustix::fs::fstat;
use stigmer_policy::JailPath;

use super::fault::{PathFault, verb_error};
use super::node::{self, Kind};
use super::resolve::{Last, Place, Want, resolve};
use super::roots::{At, Roots};

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat {
    /// The place, after following links.
    pub path: JailPath,
    /// File, folder, link, …
    pub kind: Kind,
    /// Size in bytes, as the file system claims it.
    pub size: u64,
    /// Time of the last change of content; `None` where it does not fit a `SystemTime`.
    pub modified: Option<SystemTime>,
    /// Permission bits, without the file type.
    pub mode: u32,
    /// How many names the file has.
    pub links: u64,
}

/// Why a path could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatError {
    /// The place could not be reached.
    #[error(transparent)]
    Path(#[from] PathFault),
}

verb_error!(StatError, case {} hint {});

impl Roots {
    /// Says what lies at `path`, following links inside the root.
    ///
    /// # Errors
    /// [`StatError`].
    pub fn stat(&self, path: &JailPath) -> Result<Stat, StatError> {
        self.stat_as(path, Last::Follow)
    }

    /// As [`Roots::stat`], but a link in the last place is itself what is looked at.
    ///
    /// # Errors
    /// [`StatError`].
    pub fn stat_link(&self, path: &JailPath) -> Result<Stat, StatError> {
        self.stat_as(path, Last::Keep)
    }

    fn stat_as(&self, path: &JailPath, last: Last) -> Result<Stat, StatError> {
        match resolve(self, path, Want::Read, last)? {
            Place::Spot(spot) => {
                let node = spot.existing()?;
                Ok(of(spot.path.clone(), node.kind, &node.stat))
            }
            Place::Listed { path, at: At::File(file) } => {
                let stat = fstat(file).map_err(|errno| PathFault::from_errno("look at", &path, errno))?;
                Ok(of(path, Kind::File, &stat))
            }
            Place::Listed { path, at: At::Unreadable(errno) } => {
                Err(PathFault::from_errno("look at", &path, *errno).into())
            }
            Place::Listed { path, at: At::Other(kind) } => Ok(Stat::bare(path, *kind)),
            Place::Listed { path, at: At::Folder(_) } => Ok(Stat::bare(path, Kind::Folder)),
        }
    }
}

impl Stat {
    /// For listed devices, which are known by kind only.
    fn bare(path: JailPath, kind: Kind) -> Self {
        Stat { path, kind, size: 0, modified: None, mode: 0, links: 1 }
    }
}

fn of(path: JailPath, kind: Kind, stat: &rustix::fs::Stat) -> Stat {
    Stat {
        path,
        kind,
        size: node::size(stat),
        modified: modified(stat),
        mode: stat.st_mode & 0o7777,
        links: node::links(stat),
    }
}

/// Time of the last change of content. Times before 1970 are legal.
pub(super) fn modified(stat: &rustix::fs::Stat) -> Option<SystemTime> {
    let nanos = Duration::from_nanos(node::wide(stat.st_mtime_nsec));
    let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
    let whole = if stat.st_mtime < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    whole?.checked_add(nanos)
}
