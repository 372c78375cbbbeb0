//! Acting on names below one root, without following a link anywhere.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat, openat2};
use stigmer_policy::JailPath;

/// Names that are tried for what is moved aside, in turn.
const COUNTED_NAMES: u32 = 1000;
/// Names that are drawn when all of those are taken, and for a draft.
const DRAWN_NAMES: u32 = 8;
/// Bytes of a name that stay when it is moved aside, so that the longer one still is a name (255 bytes).
const KEPT_OF_NAME: usize = 200;

/// One root and its descriptor.
pub(super) struct Place<'a> {
    root: &'a JailPath,
    fd: BorrowedFd<'a>,
}

impl<'a> Place<'a> {
    pub(super) fn new(root: &'a JailPath, fd: BorrowedFd<'a>) -> Place<'a> {
        Place { root, fd }
    }

    /// The root.
    pub(super) fn root(&self) -> &JailPath {
        self.root
    }

    /// The part of `path` below the root, `.` for the root itself.
    fn below(&self, path: &JailPath) -> io::Result<PathBuf> {
        let below = path.below(self.root).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(if below.as_os_str().is_empty() { PathBuf::from(".") } else { below.to_owned() })
    }

    pub(super) fn open(&self, path: &JailPath, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        Ok(openat2(self.fd, self.below(path)?, flags, Mode::empty(), resolve)?)
    }

    pub(super) fn stat(&self, path: &JailPath) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(self.open(path, OFlags::PATH)?)?)
    }

    /// Names in a folder.
    pub(super) fn names(&self, path: &JailPath) -> io::Result<Vec<OsString>> {
        let folder = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&folder)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// At most `limit` bytes of a regular file; more is an error, and so is anything that is no regular file.
    pub(super) fn read(&self, path: &JailPath, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        if !FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode).is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut content = Vec::new();
        std::fs::File::from(file).take(limit + 1).read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes")));
        }
        Ok(content)
    }

    pub(super) fn read_link(&self, path: &JailPath) -> io::Result<OsString> {
        let (parent, name) = self.parent(path)?;
        Ok(OsString::from_vec(rustix::fs::readlinkat(&parent, name, Vec::new())?.into_bytes()))
    }

    /// Writes a file under a name of its own and then gives it `path`'s, all at once.
    pub(super) fn replace(&self, path: &JailPath, content: &[u8], mode: u32) -> io::Result<()> {
        self.with_rights(&above(path)?, || {
            let (parent, name) = self.parent(path)?;
            let (draft, file) = create_draft(&parent)?;
            let written = write_draft(file, content, mode)
                .and_then(|()| Ok(rustix::fs::renameat(&parent, &draft, &parent, name)?));
            if written.is_err() {
                // Only a leftover, under a name that nothing looks for.
                let _ = rustix::fs::unlinkat(&parent, &draft, AtFlags::empty());
            }
            written
        })
    }

    pub(super) fn make_folder(&self, path: &JailPath, mode: u32) -> io::Result<()> {
        self.with_rights(&above(path)?, || {
            let (parent, name) = self.parent(path)?;
            Ok(rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(mode & 0o777))?)
        })
    }

    pub(super) fn link(&self, path: &JailPath, target: &OsStr) -> io::Result<()> {
        self.with_rights(&above(path)?, || {
            let (parent, name) = self.parent(path)?;
            Ok(rustix::fs::symlinkat(target, &parent, name)?)
        })
    }

    /// Moves whatever has this name to a free one beside it; gives the new path.
    pub(super) fn set_aside(&self, path: &JailPath) -> io::Result<JailPath> {
        self.with_rights(&above(path)?, || self.move_aside(path))
    }

    /// Does something in `folder`. When that is not permitted, `folder` and those above it, the root included, are opened
    /// up and it is tried once more: a command takes rights away to keep what it left there.
    ///
    /// What was opened up stays so: which rights it had before the command is not known of a folder that no snapshot
    /// holds, and what a snapshot holds gets its own back at the end of the restore.
    pub(super) fn with_rights<T>(&self, folder: &JailPath, act: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match act() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let mut at = self.root.clone();
                // One that cannot be opened up may not be what is in the way: the second try says what is.
                let _ = self.open_up(&at);
                for component in self.below(folder)?.components() {
                    let Component::Normal(part) = component else { continue };
                    at = at.join(Path::new(part)).map_err(|_| io::ErrorKind::InvalidInput)?;
                    let _ = self.open_up(&at);
                }
                act()
            }
            other => other,
        }
    }

    fn move_aside(&self, path: &JailPath) -> io::Result<JailPath> {
        let (parent, name) = self.parent(path)?;
        for number in 1..=COUNTED_NAMES + DRAWN_NAMES {
            // Whoever takes all counted names first cannot take those that are drawn.
            let number = if number > COUNTED_NAMES { draw()? } else { number.into() };
            let mut aside = OsStr::from_bytes(&name.as_bytes()[..name.len().min(KEPT_OF_NAME)]).to_owned();
            aside.push(format!(".quarantined-{number}"));
            match rustix::fs::renameat_with(&parent, name, &parent, &aside, RenameFlags::NOREPLACE) {
                Ok(()) => {
                    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
                    return folder.join(Path::new(&aside)).map_err(|_| io::ErrorKind::InvalidInput.into());
                }
                Err(rustix::io::Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "no free name to move it to"))
    }

    /// Lets the owner list, enter and change a folder.
    pub(super) fn open_up(&self, path: &JailPath) -> io::Result<()> {
        if path == self.root {
            // Even `.` is not found in a folder that may not be entered.
            return change_mode(self.fd, |mode| mode | 0o700);
        }
        let folder = self.open(path, OFlags::PATH | OFlags::DIRECTORY)?;
        change_mode(folder.as_fd(), |mode| mode | 0o700)
    }

    /// Gives a folder this mode, whatever it permits now.
    pub(super) fn set_mode(&self, path: &JailPath, mode: u32) -> io::Result<()> {
        let open = || self.open(path, OFlags::PATH | OFlags::DIRECTORY);
        let folder = self.with_rights(&above(path)?, open)?;
        change_mode(folder.as_fd(), |_| mode)
    }

    /// Makes sure that every folder above `path` is a folder; what stands in its place is moved aside.
    pub(super) fn folders_above(&self, path: &JailPath, moved: &mut Vec<(JailPath, JailPath)>) -> io::Result<()> {
        let mut at = self.root.clone();
        let above = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        for component in self.below(&above)?.components() {
            let Component::Normal(part) = component else { continue };
            at = at.join(Path::new(part)).map_err(|_| io::ErrorKind::InvalidInput)?;
            let open = || self.open(&at, OFlags::PATH | OFlags::DIRECTORY);
            match self.with_rights(&self::above(&at)?, open) {
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => moved.push((at.clone(), self.set_aside(&at)?)),
            }
            self.make_folder(&at, 0o755)?;
        }
        Ok(())
    }

    fn parent<'p>(&self, path: &'p JailPath) -> io::Result<(OwnedFd, &'p OsStr)> {
        let name = path.name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.open(&parent, OFlags::PATH | OFlags::DIRECTORY)?, name))
    }
}

fn above(path: &JailPath) -> io::Result<JailPath> {
    path.parent().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// A new file under a name that nobody can take first.
fn create_draft(folder: &OwnedFd) -> io::Result<(String, OwnedFd)> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    for _ in 0..DRAWN_NAMES {
        let name = format!(".stigmer-restore-{:016x}", draw()?);
        match rustix::fs::openat(folder, &name, flags, Mode::from_raw_mode(0o600)) {
            Ok(file) => return Ok((name, file)),
            Err(rustix::io::Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "no free name to write it under"))
}

fn write_draft(file: OwnedFd, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = std::fs::File::from(file);
    file.write_all(content)?;
    Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o7777))?)
}

fn change_mode(folder: BorrowedFd<'_>, to: impl Fn(u32) -> u32) -> io::Result<()> {
    let now = rustix::fs::fstat(folder)?.st_mode & 0o7777;
    let wanted = to(now);
    if wanted == now {
        return Ok(());
    }
    // fchmod(2) refuses such a descriptor; its name below /proc leads to the same folder, whatever it is called now.
    let name = format!("/proc/self/fd/{}", folder.as_raw_fd());
    Ok(rustix::fs::chmod(name, Mode::from_raw_mode(wanted))?)
}

fn draw() -> io::Result<u64> {
    let mut bytes = [0u8; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(bytes))
}

/// The descriptor of a root, opened once by its canonical path.
pub(super) fn open_root(root: &JailPath) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS;
    openat2(rustix::fs::CWD, root.as_path(), flags, Mode::empty(), resolve).map_err(Into::into)
}
