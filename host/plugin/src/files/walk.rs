//! From a directory handle and a guest's path to the handle of the parent and one name in it.
//!
//! Every component is opened by itself without following links; links are read and walked by us. So what was asked of
//! the policy is what the operation then touches: it gets the parent's handle and a single name, never the path again.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use stigmer_policy::JailPath;

/// Links followed in one path before it counts as a loop (path_resolution(7) uses the same number).
const MAX_LINKS: usize = 40;
/// Components in one path, those of links included.
const MAX_COMPONENTS: usize = 4096;

/// Where a path leads: a directory that is held open, and a name in it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) dir: OwnedFd,
    pub(crate) dir_path: JailPath,
    /// `None`: the directory itself (`.`, `a/..`).
    pub(crate) name: Option<OsString>,
}

impl Place {
    /// The whole path, by the names that the walk went through.
    pub(crate) fn path(&self) -> Result<JailPath, Errno> {
        match &self.name {
            Some(name) => self.dir_path.join(name).map_err(|_| Errno::NAMETOOLONG),
            None => Ok(self.dir_path.clone()),
        }
    }

    /// The name, for operations that cannot mean a directory by itself.
    pub(crate) fn name(&self) -> Result<&OsStr, Errno> {
        self.name.as_deref().ok_or(Errno::INVAL)
    }

    /// Where the kernel says the held directory lies now, if it can be asked and says something else than the walk:
    /// then somebody moved it.
    pub(crate) fn moved_to(&self) -> Option<JailPath> {
        let now = seen_path(self.dir.as_fd())?;
        (now != self.dir_path).then_some(now)
    }
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WalkError {
    /// It leaves the directory it started from; the place that its text names.
    Escapes(Option<JailPath>),
    /// A kernel error.
    Os(Errno),
}

impl From<Errno> for WalkError {
    fn from(errno: Errno) -> Self {
        WalkError::Os(errno)
    }
}

/// Finds where `path` leads from `start`, which lies at `start_path`. The last component's link is followed if
/// `follow`; the last component need not exist.
pub(crate) fn locate(
    start: BorrowedFd<'_>,
    start_path: &JailPath,
    path: &str,
    follow: bool,
) -> Result<Place, WalkError> {
    if path.is_empty() {
        return Err(Errno::NOENT.into());
    }
    let escapes = || WalkError::Escapes(JailPath::from_base(start_path, path).ok());
    let mut rest = VecDeque::new();
    if !push_front(&mut rest, path.as_bytes())? {
        return Err(escapes());
    }
    let mut chain: Vec<(OwnedFd, JailPath)> = vec![(open_dir(start, OsStr::new("."))?, start_path.clone())];
    let mut links = 0;
    while let Some(component) = rest.pop_front() {
        let (dir, dir_path) = chain.last().expect("the start is never taken off");
        match component.as_bytes() {
            b"." => continue,
            b".." if chain.len() == 1 => return Err(escapes()),
            b".." => {
                chain.pop();
                continue;
            }
            _ => {}
        }
        let last = rest.is_empty();
        let found = match rustix::fs::statat(dir, &component, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
            // Only a last name may be missing: the caller may be about to make it.
            Err(Errno::NOENT) if last => None,
            Err(errno) => return Err(errno.into()),
        };
        match found {
            Some(FileType::Symlink) if !last || follow => {
                links += 1;
                if links > MAX_LINKS || rest.len() > MAX_COMPONENTS {
                    return Err(Errno::LOOP.into());
                }
                let target = rustix::fs::readlinkat(dir, &component, Vec::new())?.into_bytes();
                if !push_front(&mut rest, &target)? {
                    let text = PathBuf::from(OsString::from_vec(target));
                    return Err(WalkError::Escapes(JailPath::absolute(text).ok()));
                }
            }
            Some(FileType::Directory) if !last => {
                let path = dir_path.join(&component).map_err(|_| Errno::NAMETOOLONG)?;
                let next = open_dir(dir.as_fd(), &component)?;
                chain.push((next, path));
            }
            _ if !last => return Err(Errno::NOTDIR.into()),
            _ => {
                let (dir, dir_path) = chain.pop().expect("the start is never taken off");
                return Ok(Place { dir, dir_path, name: Some(component) });
            }
        }
    }
    let (dir, dir_path) = chain.pop().expect("the start is never taken off");
    Ok(Place { dir, dir_path, name: None })
}

/// Puts the components of `path` before those that are left; `false` when it is absolute. A trailing slash becomes a
/// final `.`, so that what it follows must be a directory.
fn push_front(rest: &mut VecDeque<OsString>, path: &[u8]) -> Result<bool, Errno> {
    if path.contains(&0) {
        return Err(Errno::INVAL);
    }
    if path.first() == Some(&b'/') {
        return Ok(false);
    }
    if path.last() == Some(&b'/') {
        rest.push_front(OsString::from("."));
    }
    for component in path.split(|byte| *byte == b'/').rev().filter(|component| !component.is_empty()) {
        rest.push_front(OsStr::from_bytes(component).to_owned());
    }
    if rest.len() > MAX_COMPONENTS {
        return Err(Errno::NAMETOOLONG);
    }
    Ok(true)
}

fn open_dir(dir: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

/// The kernel's name for a held directory (proc_pid_fd(5)); `None` where `/proc` is not there, or it was removed.
pub(crate) fn seen_path(dir: BorrowedFd<'_>) -> Option<JailPath> {
    use std::os::fd::AsRawFd;
    let link = rustix::fs::readlink(format!("/proc/self/fd/{}", dir.as_raw_fd()), Vec::new()).ok()?;
    let bytes = link.into_bytes();
    if bytes.ends_with(b" (deleted)") {
        return None;
    }
    JailPath::absolute(OsString::from_vec(bytes)).ok()
}
