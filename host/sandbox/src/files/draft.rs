//! Temporary names beside a file that is about to be replaced, and what killed writers left of them.
//!
//! Whoever writes one holds an flock(2) on it, which the kernel gives back however the writer ends: one that can be locked
//! is nobody's any more.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::node::{self, Kind};
use super::roots::Identity;

/// What every such name begins with; [`DIGITS`] hexadecimal digits follow.
const PREFIX: &str = ".stigmer-put-";
const DIGITS: usize = 16;

/// Names tried before giving up; each is free unless somebody guessed 64 random bits.
const NAMES_TRIED: usize = 8;

/// Names that one sweep looks at. In a larger folder leftovers may stay; no listing shows them.
const NAMES_SWEPT: usize = 100_000;

/// Whether `name` is one that [`create`] gives: listings and searches leave it out.
pub(super) fn is_one(name: &OsStr) -> bool {
    let digits = name.as_encoded_bytes().strip_prefix(PREFIX.as_bytes());
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.iter().all(u8::is_ascii_hexdigit))
}

/// Makes a file of a new name in `dir`. No sweep takes it away while the file, or a copy of its descriptor, is open.
pub(super) fn create(dir: &Dir, mode: u32) -> Result<(OsString, File), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..NAMES_TRIED {
        // Each RandomState is keyed anew.
        let name = OsString::from(format!("{PREFIX}{:0DIGITS$x}", RandomState::new().hash_one(0_u8)));
        let file = match rustix::fs::openat(dir, &name, flags, Mode::from_raw_mode(mode)) {
            Ok(fd) => File::from(fd),
            Err(Errno::EXIST) => continue,
            Err(errno) => return Err(errno),
        };
        match lock(&file) {
            // A sweep came between, and takes it away.
            Err(Errno::WOULDBLOCK) => continue,
            // Without locks on this file system no sweep can take one either.
            Err(_) => return Ok((name, file)),
            Ok(()) if is_named(dir, &name, &file)? => return Ok((name, file)),
            Ok(()) => {}
        }
    }
    Err(Errno::EXIST)
}

/// Takes away what killed writers left in `dir`. One that is in use stays, and so does whatever could not be taken: it is
/// in nobody's way.
pub(super) fn sweep(dir: &Dir) {
    let (mut left, mut looked) = (Vec::new(), 0);
    let _ = node::each_name(dir, |name, _| {
        looked += 1;
        if is_one(name) {
            left.push(name.to_owned());
        }
        if looked < NAMES_SWEPT { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    for name in left {
        let _ = take_away(dir, &name);
    }
}

fn take_away(dir: &Dir, name: &OsStr) -> Result<(), Errno> {
    if node::look(dir, name)?.kind != Kind::File {
        return Ok(());
    }
    // As in `node::open_file`: what was swapped in meanwhile blocks nothing and is not followed.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(dir, name, flags, Mode::empty())?);
    if node::kind_of(&rustix::fs::fstat(&file)?) != Some(Kind::File) {
        return Ok(());
    }
    lock(&file)?;
    // Its writer may have given it its own name before it let go.
    if is_named(dir, name, &file)? { rustix::fs::unlinkat(dir, name, AtFlags::empty()) } else { Ok(()) }
}

fn lock(file: &File) -> Result<(), Errno> {
    loop {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

fn is_named(dir: &Dir, name: &OsStr, file: &File) -> Result<bool, Errno> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(named) => Ok(Identity::of(&named) == Identity::of(&rustix::fs::fstat(file)?)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests build their own fixtures by path")]

    use super::*;

    #[test]
    fn a_sweep_takes_what_nobody_holds_and_never_what_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::from(rustix::fs::open(folder.path(), OFlags::PATH, Mode::empty()).unwrap());
        let (left, file) = create(&dir, 0o600).unwrap();
        drop(file);
        let (used, file) = create(&dir, 0o600).unwrap();
        let likes = [".stigmer-put-", ".stigmer-put-0123456789abcde", ".stigmer-put-0123456789abcdeg", "put"];
        for name in likes {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let odd = ".stigmer-put-0123456789abcdef";
        std::fs::create_dir(folder.path().join(odd)).unwrap();
        assert!(is_one(&left) && is_one(&used) && is_one(OsStr::new(odd)));
        assert!(!likes.iter().any(|name| is_one(OsStr::new(name))));
        sweep(&dir);
        let there = |name: &OsStr| folder.path().join(name).exists();
        assert!(!there(&left) && there(&used) && there(OsStr::new(odd)));
        assert!(likes.iter().all(|name| there(OsStr::new(name))));
        drop(file);
        sweep(&dir);
        assert!(!there(&used));
    }

    #[test]
    fn writers_and_sweeps_at_once_lose_no_file_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::from(rustix::fs::open(folder.path(), OFlags::PATH, Mode::empty()).unwrap());
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    sweep(&dir);
                }
            });
            for _ in 0..2_000 {
                let (name, file) = create(&dir, 0o600).unwrap();
                assert!(is_named(&dir, &name, &file).unwrap());
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
