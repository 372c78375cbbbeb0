//! Signals of init and the stages: all blocked, ended children read from a descriptor.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// Gives every signal its default action: ignored ones survive fork and exec (signal(7)), and a command must not find
/// what the caller of the command line, or Rust's runtime, ignored.
pub(crate) fn reset_all() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL is a valid action for every number; for SIGKILL, SIGSTOP and the two that libc keeps the call
        // fails and changes nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Unblocks every signal of the calling thread.
pub(crate) fn unblock_all() {
    // SAFETY: an empty set made by sigemptyset is valid; the old mask is not asked for.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Blocks every signal of the calling thread, so that only descriptors wake it.
pub(crate) fn block_all() {
    // SAFETY: a set filled by sigfillset is valid; the old mask is not asked for.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}

/// Blocks these signals of the calling thread.
pub(crate) fn block(numbers: &[i32]) {
    // SAFETY: the set is made by sigemptyset and filled with valid numbers; the old mask is not asked for.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for number in numbers {
            libc::sigaddset(&raw mut set, *number);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
}

/// A descriptor that becomes readable when a child has ended. SIGCHLD must be blocked.
///
/// # Errors
/// As signalfd(2).
pub(crate) fn ended_children() -> io::Result<OwnedFd> {
    watch(&[libc::SIGCHLD])
}

/// A descriptor that becomes readable when one of `numbers`, which must be blocked, arrives.
///
/// # Errors
/// As signalfd(2).
pub(crate) fn watch(numbers: &[i32]) -> io::Result<OwnedFd> {
    // SAFETY: the set is made by sigemptyset; signalfd(2) reads it during the call and returns a new descriptor, which
    // nobody else owns.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for number in numbers {
            libc::sigaddset(&raw mut set, *number);
        }
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

/// Bytes of one record (signalfd(2)).
const RECORD: usize = 128;

/// Takes what has arrived; several of one kind count as one. Returns the signal numbers.
pub(crate) fn drain(fd: &OwnedFd) -> Vec<i32> {
    let mut numbers = Vec::new();
    let mut record = [0u8; RECORD];
    while rustix::io::read(fd, &mut record).is_ok_and(|bytes| bytes == RECORD) {
        numbers.push(i32::from_ne_bytes([record[0], record[1], record[2], record[3]]));
    }
    numbers
}
