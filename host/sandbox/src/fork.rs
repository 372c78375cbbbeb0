//! Making processes. Init and the stages have one thread, so what fork(2) forbids after a fork of a threaded process
//! (locks, allocation) is allowed here.

use std::io;

use rustix::process::Pid;

/// Which side of a fork this is.
pub(crate) enum Side {
    /// The new process.
    Child,
    /// The one that called, with the new one's id.
    Parent(Pid),
}

/// Forks, with the namespaces that `flags` (CLONE_NEW*, clone(2)) names. The caller must have one thread.
///
/// # Errors
/// As clone(2).
pub(crate) fn fork(flags: libc::c_int) -> io::Result<Side> {
    debug_assert_eq!(flags & (libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND), 0, "a process of its own");
    let flags = i64::from(flags | libc::SIGCHLD);
    // SAFETY: without CLONE_VM the child has its own copy of memory and returns on its own copy of this stack, as after
    // fork(2); all pointer arguments are null. `is_single_threaded` callers hold no other thread's locks.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize) };
    match pid {
        0 => Ok(Side::Child),
        -1 => Err(io::Error::last_os_error()),
        pid => {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
            Ok(Side::Parent(pid))
        }
    }
}

/// Whether the calling process has one thread.
#[must_use]
pub(crate) fn is_single_threaded() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}

/// Ends the calling process at once, without running anything registered for exit.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: _exit(2) ends the process; nothing runs after it.
    unsafe { libc::_exit(code) }
}
