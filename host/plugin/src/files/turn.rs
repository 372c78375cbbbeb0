//! Taking turns with the file tools of every execution that works in the same folder: they lock the folder from their
//! last look at a file until it is replaced, so whatever gives, takes or empties a name waits for that lock.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

/// Longest wait for a folder's lock. Ours is held for a few milliseconds; whoever holds it for longer is a command, and
/// may hold it for ever.
pub(crate) const TURN_TIME: Duration = Duration::from_secs(5);

/// Time between two tries: the kernel has no wait for this lock that ends by itself.
const AGAIN: Duration = Duration::from_millis(1);

/// Held while a name changes; goes with its descriptors. A folder that cannot be opened for reading, or whose file
/// system has no locks, has no turns.
#[derive(Debug)]
pub(crate) struct Turn {
    _folders: Vec<OwnedFd>,
}

/// Waits at most `time` in all until nobody replaces a file in any of `dirs`.
///
/// # Errors
/// [`Errno::BUSY`] of a longer wait.
pub(crate) fn take(time: Duration, dirs: &[&OwnedFd]) -> Result<Turn, Errno> {
    let mut folders = Vec::with_capacity(dirs.len());
    for dir in dirs {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(folder) = rustix::fs::openat(dir.as_fd(), ".", flags, Mode::empty()) else { continue };
        let stat = rustix::fs::fstat(&folder)?;
        folders.push(((stat.st_dev, stat.st_ino), folder));
    }
    // In one order everywhere, so that two renames between the same folders do not wait for each other; a folder's
    // second lock would wait for its first.
    folders.sort_by_key(|(identity, _)| *identity);
    folders.dedup_by_key(|(identity, _)| *identity);
    let begun = Instant::now();
    let mut held = Vec::with_capacity(folders.len());
    for (_, folder) in folders {
        loop {
            match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if begun.elapsed() < time => std::thread::sleep(AGAIN),
                Err(Errno::WOULDBLOCK) => return Err(Errno::BUSY),
                // Without locks there is nothing to wait for.
                Ok(()) | Err(_) => break,
            }
        }
        held.push(folder);
    }
    Ok(Turn { _folders: held })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_somebody_keeps_locked_is_given_up_and_a_free_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let open = || rustix::fs::open(folder.path(), flags, Mode::empty()).unwrap();
        let (dir, other, short) = (open(), open(), Duration::from_millis(20));
        rustix::fs::flock(&other, FlockOperation::LockExclusive).unwrap();
        assert_eq!(take(short, &[&dir]).unwrap_err(), Errno::BUSY);
        drop(other);
        let turn = take(short, &[&dir, &open()]).expect("a folder named twice is locked once");
        assert_eq!(take(short, &[&dir]).unwrap_err(), Errno::BUSY);
        drop(turn);
        take(short, &[&dir]).unwrap();
    }
}
