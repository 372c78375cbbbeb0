//! The file operations themselves: find, ask, then act on the handle and the one name that were asked about.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, Timestamps};
use rustix::io::Errno;
use stigmer_policy::{Access, JailPath};

use super::wall::{Ask, Base, Found, Refusal, Wall};
use crate::grants::DirGrant;

/// Entries below a folder that may be renamed as a whole: each is asked about, by its old and its new name.
pub(crate) const RENAME_ENTRIES: usize = 100_000;
/// Entries of one folder that are listed.
pub(crate) const LIST_ENTRIES: usize = 200_000;

/// How a guest opens something.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct How {
    pub(crate) follow: bool,
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) truncate: bool,
    pub(crate) directory: bool,
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl How {
    pub(crate) fn writes(self) -> bool {
        self.create || self.truncate || self.write
    }
}

/// What was opened.
pub(crate) enum Opened {
    Top,
    Folder(DirGrant),
    File { file: File, path: JailPath, writable: bool },
}

pub(crate) fn open(wall: &Wall, base: &Base, path: &str, how: How) -> Result<Opened, Refusal> {
    if matches!(base, Base::Top) && path.split('/').all(|part| part.is_empty() || part == ".") && !how.writes() {
        return Ok(Opened::Top);
    }
    let found = wall.find(base, path, how.follow, if how.writes() { Ask::Write } else { Ask::Read })?;
    wall.may_read(&found)?;
    if how.writes() {
        wall.may_write(&found)?;
    }
    // Until the file is empty: an edit that has looked at it must not replace what comes after. Writing through the
    // handle later takes no turn (docs/decisions/0010-plugin-files.md).
    let turn = if how.create || how.truncate { Some(wall.turn(&[&found.place.dir])?) } else { None };
    let (fd, made) = open_found(wall, &found, how)?;
    let stat = rustix::fs::fstat(&fd)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            Ok(Opened::Folder(DirGrant { dir: Arc::new(File::from(fd)), path: found.path, access: found.access }))
        }
        FileType::RegularFile => {
            if made {
                wall.note_made(&stat);
            }
            if how.writes() {
                wall.may_change(&found, &stat)?;
            }
            if how.truncate && !made {
                wall.changes.during(std::slice::from_ref(&found.path), || rustix::fs::ftruncate(&fd, 0))?;
            }
            drop(turn);
            Ok(Opened::File { file: File::from(fd), path: found.path, writable: how.writes() })
        }
        // A pipe, socket or device would block or reach out; the kernel was asked without blocking.
        _ => Err(Errno::PERM.into()),
    }
}

/// Opens without following, blocking or truncating; says whether the file was made.
fn open_found(wall: &Wall, found: &Found, how: How) -> Result<(OwnedFd, bool), Errno> {
    let base = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let dir = &found.place.dir;
    let Some(name) = &found.place.name else {
        return Ok((rustix::fs::openat(dir, ".", base | OFlags::DIRECTORY, Mode::empty())?, false));
    };
    let access = match (how.writes(), how.read) {
        (false, _) => OFlags::RDONLY,
        (true, false) => OFlags::WRONLY,
        (true, true) => OFlags::RDWR,
    };
    let kind = if how.directory { OFlags::DIRECTORY } else { OFlags::empty() };
    if how.create {
        let mode = Mode::from_raw_mode(0o666);
        let flags = base | access | OFlags::CREATE | OFlags::EXCL;
        let made = || rustix::fs::openat(dir, name, flags, mode);
        match wall.changes.during(std::slice::from_ref(&found.path), made) {
            Ok(fd) => return Ok((fd, true)),
            Err(Errno::EXIST) if !how.exclusive => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok((rustix::fs::openat(dir, name, base | access | kind, Mode::empty())?, false))
}

pub(crate) fn make_dir(wall: &Wall, base: &Base, path: &str) -> Result<(), Refusal> {
    let found = wall.find(base, path.trim_end_matches('/'), false, Ask::Write)?;
    wall.may_write(&found)?;
    Ok(rustix::fs::mkdirat(&found.place.dir, found.place.name()?, Mode::from_raw_mode(0o777))?)
}

pub(crate) fn remove(wall: &Wall, base: &Base, path: &str, folder: bool) -> Result<(), Refusal> {
    let path = if folder { path.trim_end_matches('/') } else { path };
    let found = wall.find(base, path, false, Ask::Write)?;
    wall.may_write(&found)?;
    let flags = if folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    let name = found.place.name()?;
    let _turn = wall.turn(&[&found.place.dir])?;
    let changed = if folder { &[] } else { std::slice::from_ref(&found.path) };
    Ok(wall.changes.during(changed, || rustix::fs::unlinkat(&found.place.dir, name, flags))?)
}

/// Renames, and says what was renamed to what, so that held folders keep their names right.
pub(crate) fn rename(
    wall: &Wall,
    (from_base, from): (&Base, &str),
    (to_base, to): (&Base, &str),
) -> Result<(JailPath, JailPath), Refusal> {
    let from = wall.find(from_base, from.trim_end_matches('/'), false, Ask::Write)?;
    let to = wall.find(to_base, to.trim_end_matches('/'), false, Ask::Write)?;
    wall.may_write(&from)?;
    wall.may_write(&to)?;
    let stat = rustix::fs::statat(&from.place.dir, from.place.name()?, AtFlags::SYMLINK_NOFOLLOW)?;
    let mut moved = Moved { left: RENAME_ENTRIES, files: Vec::new() };
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        let folder = rustix::fs::openat(
            &from.place.dir,
            from.place.name()?,
            OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        may_move_below(wall, &folder, (&from.path, from.access), (&to.path, to.access), &mut moved)?;
    } else {
        moved.files.extend([from.path.clone(), to.path.clone()]);
    }
    let (old, new) = (from.place.name()?, to.place.name()?);
    let _turn = wall.turn(&[&from.place.dir, &to.place.dir])?;
    wall.changes.during(&moved.files, || rustix::fs::renameat(&from.place.dir, old, &to.place.dir, new))?;
    Ok((from.path, to.path))
}

/// What is found below a folder that is renamed.
struct Moved {
    /// Entries that may still be looked at.
    left: usize,
    /// Old and new names of what is no folder.
    files: Vec<JailPath>,
}

/// Asks about everything below a folder that is renamed: a protected file must neither be carried away by its parent
/// nor brought into place by it.
fn may_move_below(
    wall: &Wall,
    folder: &OwnedFd,
    from: (&JailPath, Access),
    to: (&JailPath, Access),
    moved: &mut Moved,
) -> Result<(), Refusal> {
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = std::os::unix::ffi::OsStrExt::from_bytes(entry.file_name().to_bytes());
        let name: &std::ffi::OsStr = name;
        if name == "." || name == ".." {
            continue;
        }
        moved.left = moved.left.checked_sub(1).ok_or(Errno::TOOBIG)?;
        let below = |path: &JailPath| path.join(name).map_err(|_| Errno::NAMETOOLONG);
        let (old, new) = (below(from.0)?, below(to.0)?);
        wall.may_write_path(old.clone(), from.1)?;
        wall.may_write_path(new.clone(), to.1)?;
        let is_folder = match entry.file_type() {
            FileType::Unknown => {
                let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            }
            kind => kind == FileType::Directory,
        };
        if is_folder {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let inner = rustix::fs::openat(folder, name, flags, Mode::empty())?;
            may_move_below(wall, &inner, (&old, from.1), (&new, to.1), moved)?;
        } else {
            moved.files.extend([old, new]);
        }
    }
    Ok(())
}

pub(crate) fn symlink(wall: &Wall, base: &Base, target: &str, path: &str) -> Result<(), Refusal> {
    let found = wall.find(base, path, false, Ask::Write)?;
    wall.may_write(&found)?;
    // A link that leads outside would be refused when followed; it is not made either.
    if target.starts_with('/') {
        return Err(Errno::PERM.into());
    }
    let name = found.place.name()?;
    let _turn = wall.turn(&[&found.place.dir])?;
    let made = || rustix::fs::symlinkat(target, &found.place.dir, name);
    Ok(wall.changes.during(std::slice::from_ref(&found.path), made)?)
}

pub(crate) fn link(wall: &Wall, old: (&Base, &str), new: (&Base, &str)) -> Result<(), Refusal> {
    let from = wall.find(old.0, old.1, false, Ask::Write)?;
    let to = wall.find(new.0, new.1, false, Ask::Write)?;
    // Whoever holds a second name can write through it, so the first one must be writable too.
    wall.may_write(&from)?;
    wall.may_write(&to)?;
    let (old_dir, old_name) = (&from.place.dir, from.place.name()?);
    let (new_dir, new_name) = (&to.place.dir, to.place.name()?);
    let _turn = wall.turn(&[old_dir, new_dir])?;
    let linked = || rustix::fs::linkat(old_dir, old_name, new_dir, new_name, AtFlags::empty());
    // A further name changes the file's status, so the old one differs from before as well.
    Ok(wall.changes.during(&[from.path, to.path], linked)?)
}

pub(crate) fn stat(wall: &Wall, base: &Base, path: &str, follow: bool) -> Result<Stat, Refusal> {
    let found = wall.find(base, path, follow, Ask::Read)?;
    wall.may_read(&found)?;
    Ok(match &found.place.name {
        Some(name) => rustix::fs::statat(&found.place.dir, name, AtFlags::SYMLINK_NOFOLLOW)?,
        None => rustix::fs::fstat(&found.place.dir)?,
    })
}

pub(crate) fn read_link(wall: &Wall, base: &Base, path: &str) -> Result<String, Refusal> {
    let found = wall.find(base, path, false, Ask::Read)?;
    wall.may_read(&found)?;
    let target = rustix::fs::readlinkat(&found.place.dir, found.place.name()?, Vec::new())?;
    Ok(target.into_string().map_err(|_| Errno::ILSEQ)?)
}

pub(crate) fn set_times(wall: &Wall, base: &Base, path: &str, follow: bool, times: &Timestamps) -> Result<(), Refusal> {
    let found = wall.find(base, path, follow, Ask::Write)?;
    wall.may_write(&found)?;
    match &found.place.name {
        Some(name) => {
            let stat = rustix::fs::statat(&found.place.dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                wall.may_change(&found, &stat)?;
            }
            let folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            let changed = if folder { &[] } else { std::slice::from_ref(&found.path) };
            let set = || rustix::fs::utimensat(&found.place.dir, name, times, AtFlags::SYMLINK_NOFOLLOW);
            Ok(wall.changes.during(changed, set)?)
        }
        None => Ok(rustix::fs::utimensat(&found.place.dir, ".", times, AtFlags::empty())?),
    }
}

/// Sets the times of a folder that the guest holds.
pub(crate) fn set_folder_times(wall: &Wall, folder: &DirGrant, times: &Timestamps) -> Result<(), Refusal> {
    let base = Base::Folder(folder.clone());
    set_times(wall, &base, ".", false, times)
}

/// Whether a folder is small enough to be listed.
pub(crate) fn may_list(folder: &DirGrant) -> Result<(), Refusal> {
    // `.` and `..` are among those that are counted.
    let entries = rustix::fs::Dir::read_from(folder.dir.as_fd())?.take(LIST_ENTRIES + 3).count();
    if entries > LIST_ENTRIES + 2 { Err(Errno::OVERFLOW.into()) } else { Ok(()) }
}
