//! Keeping descriptors out of processes that must not have them.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{FileType, Mode, OFlags, SeekFrom, StatVfsMountFlags};

/// Closes every descriptor of the calling process but those in `keep`, which need not be sorted.
pub(crate) fn keep_only(keep: &[RawFd]) {
    let mut keep: Vec<u32> = keep.iter().filter_map(|fd| u32::try_from(*fd).ok()).collect();
    keep.sort_unstable();
    keep.dedup();
    let mut from = 0;
    for fd in keep {
        if fd > from {
            close_range(from, fd - 1);
        }
        from = fd + 1;
    }
    close_range(from, u32::MAX);
}

/// Closes descriptors `first` to `last`, both included (close_range(2), Linux 5.9).
pub(crate) fn close_range(first: u32, last: u32) {
    // SAFETY: the caller is a process that is about to become something else: it owns every descriptor by number and
    // uses none of the closed ones again. The call touches no memory.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) };
}

/// What a descriptor is, if it is something that must not enter the jail: with a folder of the host a command could
/// walk out of its tree (`openat(fd, "../..")`), with a block device it could write a whole disk, with a datagram socket it
/// could speak to the person's services.
pub(crate) fn refused(fd: BorrowedFd<'_>) -> Option<&'static str> {
    let flags = rustix::fs::fcntl_getfl(fd).ok()?;
    if flags.contains(OFlags::PATH) {
        return Some("opened for its path alone");
    }
    let stat = rustix::fs::fstat(fd).ok()?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Some("a directory"),
        FileType::BlockDevice => Some("a block device"),
        // `sendmsg` on it reaches any socket of the host by path, and no filter can see the address.
        FileType::Socket if rustix::net::sockopt::socket_type(fd) == Ok(rustix::net::SocketType::DGRAM) => {
            Some("a datagram socket")
        }
        _ => None,
    }
}

/// The same file, opened through the calling process's own tree, if it is one that is read through a descriptor of the
/// host's tree and cannot be written here. A descriptor of the host stands on the host's mount, so that a command could open
/// it again for writing by `/proc/self/fd`, past a read-only bind that protects the file. Files that are not here, or have
/// another name here, are covered by no Landlock rule that such an open would need. A descriptor that a person opened for
/// writing is theirs to give.
///
/// # Errors
/// When the file cannot be looked at, or not be opened for reading here.
pub(crate) fn reopened_inside(fd: &OwnedFd) -> std::io::Result<Option<OwnedFd>> {
    let outside = rustix::fs::fstat(fd)?;
    let reads = rustix::fs::fcntl_getfl(fd)? & OFlags::RWMODE == OFlags::RDONLY;
    if !reads || FileType::from_raw_mode(outside.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let name = rustix::fs::readlink(format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new())?;
    let Ok(here) = rustix::fs::open(&name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) else {
        return Ok(None);
    };
    let inside = rustix::fs::fstat(&here)?;
    let same = (inside.st_dev, inside.st_ino) == (outside.st_dev, outside.st_ino);
    if !same || !rustix::fs::fstatvfs(&here)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(None);
    }
    // By the descriptor, not by the name: what was compared is what is opened.
    let link = format!("/proc/self/fd/{}", here.as_raw_fd());
    let opened = rustix::fs::open(link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let read = rustix::fs::seek(fd, SeekFrom::Current(0))?;
    rustix::fs::seek(&opened, SeekFrom::Start(read))?;
    // Above the numbers that the three are about to get.
    Ok(Some(rustix::io::fcntl_dupfd_cloexec(&opened, 3)?))
}

/// Moves `from` to the number `to`, open across exec.
///
/// # Errors
/// As dup3(2).
pub(crate) fn place(from: &OwnedFd, to: RawFd) -> std::io::Result<()> {
    if from.as_raw_fd() == to {
        rustix::io::fcntl_setfd(from, rustix::io::FdFlags::empty())?;
        return Ok(());
    }
    // SAFETY: dup2(2) touches no memory; what was open as `to` is given up by the caller, who is about to exec.
    if unsafe { libc::dup2(from.as_fd().as_raw_fd(), to) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}
