//! Taking turns at replacing files: within this process, and with other executions that work in the same folder.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cap_std::fs::Dir;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use stigmer_policy::JailPath;

use super::fault::PathFault;

/// Longest wait for a folder's lock. Ours is held for a comparison and a rename, a few milliseconds; whoever holds it for
/// longer is a command, and may hold it for ever.
pub(super) const TURN_TIME: Duration = Duration::from_secs(5);

/// Time between two tries: the kernel has no wait for this lock that ends by itself.
const AGAIN: Duration = Duration::from_millis(1);

/// Held from the last look at a file until it is replaced.
pub(super) struct Turn<'a> {
    /// Goes with its descriptor. `None` where the folder cannot be opened for reading, or its file system has no locks:
    /// there only verbs of one execution take turns.
    _folder: Option<OwnedFd>,
    _own: MutexGuard<'a, ()>,
}

/// Waits until nobody else replaces a file in `dir`, so that two cannot both find a file unchanged and then replace each
/// other's work.
///
/// # Errors
/// [`PathFault::Io`] of a wait longer than [`TURN_TIME`].
pub(super) fn take<'a>(own: &'a Mutex<()>, dir: &Dir, path: &JailPath) -> Result<Turn<'a>, PathFault> {
    take_within(TURN_TIME, own, dir, path)
}

fn take_within<'a>(time: Duration, own: &'a Mutex<()>, dir: &Dir, path: &JailPath) -> Result<Turn<'a>, PathFault> {
    // It guards no data: whole after any panic.
    let own = own.lock().unwrap_or_else(PoisonError::into_inner);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(folder) = rustix::fs::openat(dir, ".", flags, Mode::empty()) else {
        return Ok(Turn { _folder: None, _own: own });
    };
    let begun = Instant::now();
    loop {
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Turn { _folder: Some(folder), _own: own }),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if begun.elapsed() < time => std::thread::sleep(AGAIN),
            Err(Errno::WOULDBLOCK) => {
                return Err(PathFault::from_errno("lock the folder of", path, Errno::TIMEDOUT));
            }
            Err(_) => return Ok(Turn { _folder: None, _own: own }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_somebody_keeps_locked_is_given_up_and_a_free_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).unwrap();
        let path = JailPath::absolute("/w/a").unwrap();
        let own = Mutex::new(());
        let other = rustix::fs::openat(&dir, ".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        rustix::fs::flock(&other, FlockOperation::LockExclusive).unwrap();
        let short = Duration::from_millis(20);
        let fault = take_within(short, &own, &dir, &path).err().unwrap();
        assert_eq!(fault.case(), "io");
        assert!(fault.to_string().contains("could not lock the folder of `/w/a`"), "{fault}");
        drop(other);
        let turn = take_within(short, &own, &dir, &path).unwrap();
        let other = Mutex::new(());
        assert!(take_within(short, &other, &dir, &path).is_err(), "another execution waits");
        drop(turn);
        take_within(short, &other, &dir, &path).unwrap();
    }
}
