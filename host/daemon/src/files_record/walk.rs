//! The walk: breadth first, by descriptors beneath the workspace.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, openat2, statat};

use super::snapshot::{Entry, Kind, Snapshot};
use super::{MAX_ENTRIES, WalkError};

/// How a name below the workspace is opened: never above it, never through a symbolic link.
pub(super) const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

pub(super) fn walk(workspace: &Path) -> Result<(OwnedFd, Snapshot), WalkError> {
    walk_within(MAX_ENTRIES, workspace)
}

/// As [`walk`], with another bound on what is looked at, folders included.
pub(super) fn walk_within(most: usize, workspace: &Path) -> Result<(OwnedFd, Snapshot), WalkError> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let root = rustix::fs::open(workspace, flags, Mode::empty())
        .map_err(|errno| WalkError::Open { path: workspace.to_owned(), source: errno.into() })?;
    let mut snapshot = Snapshot::default();
    let mut folders = VecDeque::from([b".".to_vec()]);
    let mut seen = 0;
    while let Some(folder) = folders.pop_front() {
        let opened = openat2(&root, &folder[..], flags, Mode::empty(), BENEATH);
        let Ok(mut listing) = opened.and_then(Dir::read_from) else {
            // Unreadable, or gone since it was listed.
            snapshot.partial = true;
            continue;
        };
        while let Some(listed) = listing.next() {
            let Ok(listed) = listed else {
                snapshot.partial = true;
                break;
            };
            let name = listed.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            seen += 1;
            if seen > most {
                snapshot.partial = true;
                return Ok((root, snapshot));
            }
            let found = listing.fd().and_then(|descriptor| statat(descriptor, name, AtFlags::SYMLINK_NOFOLLOW));
            let Ok(found) = found else {
                snapshot.partial = true;
                continue;
            };
            let path = if folder == b"." { name.to_bytes().to_vec() } else { [&folder, name.to_bytes()].join(&b'/') };
            let kind = match FileType::from_raw_mode(found.st_mode) {
                FileType::Directory => {
                    folders.push_back(path);
                    continue;
                }
                FileType::RegularFile => Kind::File,
                FileType::Symlink => Kind::Link,
                _ => Kind::Other,
            };
            if path.len() > stigmer_policy::path::MAX_PATH {
                snapshot.partial = true;
                continue;
            }
            snapshot.entries.push(Entry {
                path,
                kind,
                size: found.st_size.cast_unsigned(),
                mtime: nanoseconds(found.st_mtime, found.st_mtime_nsec),
                ctime: nanoseconds(found.st_ctime, found.st_ctime_nsec),
                inode: found.st_ino,
                mode: found.st_mode,
            });
        }
    }
    Ok((root, snapshot))
}

fn nanoseconds(seconds: i64, rest: u64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add_unsigned(rest)
}
