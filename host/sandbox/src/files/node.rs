//! One name in one folder: the only calls that touch the disk, each with a single name and without following links.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use stigmer_policy::JailPath;

use super::fault::PathFault;
use super::roots::Identity;

/// What lies at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A unix socket.
    Socket,
    /// A character or block device.
    Device,
}

impl Kind {
    /// The name in listings and messages: `file`, `folder`, `link`, `fifo`, `socket`, `device`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Folder => "folder",
            Kind::Link => "link",
            Kind::Fifo => "fifo",
            Kind::Socket => "socket",
            Kind::Device => "device",
        }
    }

    /// `None` where the file system does not say.
    fn of(kind: FileType) -> Option<Self> {
        match kind {
            FileType::RegularFile => Some(Kind::File),
            FileType::Directory => Some(Kind::Folder),
            FileType::Symlink => Some(Kind::Link),
            FileType::Fifo => Some(Kind::Fifo),
            FileType::Socket => Some(Kind::Socket),
            FileType::CharacterDevice | FileType::BlockDevice => Some(Kind::Device),
            FileType::Unknown => None,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a name held when it was looked at; the descriptor grants neither reading nor writing (`O_PATH`).
pub(super) struct Node {
    pub(super) fd: OwnedFd,
    pub(super) kind: Kind,
    pub(super) stat: rustix::fs::Stat,
}

impl Node {
    pub(super) fn identity(&self) -> Identity {
        Identity::of(&self.stat)
    }

    pub(super) fn links(&self) -> u64 {
        links(&self.stat)
    }

    /// What the link holds.
    pub(super) fn target(&self) -> Result<OsString, Errno> {
        let text = rustix::fs::readlinkat(&self.fd, c"", Vec::new())?;
        Ok(OsStr::from_bytes(text.as_bytes()).to_owned())
    }
}

/// Looks at `name` in `dir` without opening it for anything: a link stays a link, a FIFO cannot block.
pub(super) fn look(dir: &Dir, name: &OsStr) -> Result<Node, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&fd)?;
    let kind = kind_of(&stat).ok_or(Errno::INVAL)?;
    Ok(Node { fd, kind, stat })
}

/// Opens the folder `name` in `dir`, for looking further down.
pub(super) fn open_folder(dir: &Dir, name: &OsStr) -> Result<Dir, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(Dir::from(rustix::fs::openat(dir, name, flags, Mode::empty())?))
}

/// Opens the regular file `name` in `dir` for reading; `path` is its name in messages.
///
/// The check is on what was opened, not on what was seen before: `O_NONBLOCK` lets the open of a FIFO or device that
/// was swapped in return at once, and then it is refused. On a regular file the flag means nothing (open(2)).
pub(super) fn open_file(dir: &Dir, name: &OsStr, path: &JailPath) -> Result<(File, rustix::fs::Stat), PathFault> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        // A socket, or a device without a driver behind it (open(2)).
        Err(Errno::NXIO) => return Err(PathFault::NotRegular { path: path.clone(), kind: Kind::Socket }),
        other => other.map_err(|errno| PathFault::from_errno("open", path, errno))?,
    };
    let stat = rustix::fs::fstat(&fd).map_err(|errno| PathFault::from_errno("look at", path, errno))?;
    regular(kind_of(&stat), path)?;
    Ok((File::from(fd), stat))
}

/// Refuses what is no regular file.
pub(super) fn regular(kind: Option<Kind>, path: &JailPath) -> Result<(), PathFault> {
    let path = path.clone();
    match kind {
        Some(Kind::File) => Ok(()),
        Some(Kind::Folder) => Err(PathFault::IsDirectory { path }),
        Some(kind) => Err(PathFault::NotRegular { path, kind }),
        None => Err(PathFault::NotRegular { path, kind: Kind::Device }),
    }
}

/// Calls `visit` with each name in `dir`, in the kernel's order, until it breaks. The kind is the one that the folder's
/// own record holds, so it may be `None` and may be outdated.
pub(super) fn each_name(
    dir: &Dir,
    mut visit: impl FnMut(&OsStr, Option<Kind>) -> ControlFlow<()>,
) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listing = rustix::fs::openat(dir, c".", flags, Mode::empty())?;
    for entry in rustix::fs::Dir::new(listing)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." && visit(name, Kind::of(entry.file_type())).is_break() {
            break;
        }
    }
    Ok(())
}

/// Renames, and fails with EEXIST where the new name is taken. `kind` is what is renamed.
pub(super) fn take_free_name(from: (&Dir, &OsStr), to: (&Dir, &OsStr), kind: Kind) -> Result<(), Errno> {
    match rustix::fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
        // A file system without the flag (rename(2)). A folder may replace an empty one, which we make first; anything
        // else gets a second name, then the first one goes.
        Err(Errno::INVAL) if kind == Kind::Folder => {
            rustix::fs::mkdirat(to.0, to.1, Mode::from_raw_mode(0o700))?;
            rustix::fs::renameat(from.0, from.1, to.0, to.1)
        }
        Err(Errno::INVAL) => {
            rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty())?;
            rustix::fs::unlinkat(from.0, from.1, AtFlags::empty())
        }
        other => other,
    }
}

pub(super) fn kind_of(stat: &rustix::fs::Stat) -> Option<Kind> {
    Kind::of(FileType::from_raw_mode(stat.st_mode))
}

pub(super) fn links(stat: &rustix::fs::Stat) -> u64 {
    wide(stat.st_nlink)
}

/// The kernel's numbers have other widths on other architectures.
pub(super) fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

/// Bytes; a file never has a negative size.
pub(super) fn size(stat: &rustix::fs::Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests build their own fixtures by path")]

    use super::*;

    #[test]
    fn no_call_follows_a_link_that_was_swapped_in_and_none_waits() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "x").unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        std::os::unix::fs::symlink("file", at("to-file")).unwrap();
        std::os::unix::fs::symlink("folder", at("to-folder")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), Mode::from_raw_mode(0o600)).unwrap();
        let handle = rustix::fs::open(folder.path(), OFlags::PATH, Mode::empty()).unwrap();
        let (dir, path) = (Dir::from(handle), JailPath::absolute("/x").unwrap());
        let open = |name: &str| open_file(&dir, OsStr::new(name), &path).map(|_| ()).map_err(|fault| fault.case());
        assert_eq!(open("file"), Ok(()));
        assert_eq!(open("to-file"), Err("changed-meanwhile"));
        assert_eq!(open("folder"), Err("is-a-directory"));
        assert_eq!(open("fifo"), Err("not-a-regular-file"));
        let enter = |name: &str| open_folder(&dir, OsStr::new(name)).map(|_| ());
        assert_eq!(enter("folder"), Ok(()));
        assert_eq!(enter("to-folder"), Err(Errno::NOTDIR));
        assert_eq!(enter("file"), Err(Errno::NOTDIR));
        for (name, kind) in [("file", Kind::File), ("to-folder", Kind::Link), ("fifo", Kind::Fifo)] {
            assert_eq!(look(&dir, OsStr::new(name)).unwrap().kind, kind);
        }
    }

    #[test]
    fn a_taken_name_stays() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "a").unwrap();
        std::fs::write(folder.path().join("b"), "b").unwrap();
        let dir = Dir::from(rustix::fs::open(folder.path(), OFlags::PATH, Mode::empty()).unwrap());
        let take = |to: &str| take_free_name((&dir, OsStr::new("a")), (&dir, OsStr::new(to)), Kind::File);
        assert_eq!(take("b"), Err(Errno::EXIST));
        assert_eq!(take("c"), Ok(()));
        assert_eq!(std::fs::read(folder.path().join("b")).unwrap(), b"b");
    }
}
