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

/// Stack of a process made by [`vfork`]: system calls and a few small buffers.
const VFORK_STACK: usize = 256 << 10;

/// Runs `child` in a new process that shares the caller's memory, and waits until that process has executed a program or
/// ended (vfork(2)): what it costs does not grow with the caller. The caller must have one thread. What `child` writes
/// to memory is seen afterwards; descriptors, credentials, filters and limits are the new process's own.
///
/// # Errors
/// As clone(2).
pub(crate) fn vfork<F: FnMut()>(child: &mut F) -> io::Result<Pid> {
    extern "C" fn enter<F: FnMut()>(child: *mut libc::c_void) -> libc::c_int {
        // SAFETY: `child` is the closure that the caller lends for the whole call, and nobody else runs meanwhile. A
        // panic cannot leave an `extern "C"` function: it ends the new process.
        let child = unsafe { &mut *child.cast::<F>() };
        child();
        127
    }
    // u128: stacks are aligned to 16 bytes.
    let mut stack = vec![0_u128; VFORK_STACK / size_of::<u128>()];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack is this call's own and outlives the child's use of it, since CLONE_VFORK suspends the caller
    // until the child has left this memory; `enter` is given the closure it is made for.
    let pid = unsafe {
        let top = stack.as_mut_ptr_range().end;
        libc::clone(enter::<F>, top.cast(), flags, std::ptr::from_mut(child).cast())
    };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    Pid::from_raw(pid).ok_or_else(|| io::ErrorKind::InvalidData.into())
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
