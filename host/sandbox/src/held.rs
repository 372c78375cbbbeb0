//! Signals of a program for people, held back while something must be put right first.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Where the handler writes; -1 while nothing is held.
static PIPE: AtomicI32 = AtomicI32::new(-1);

/// Signals of the whole process, on whichever thread they arrive. Their former actions are back when this is dropped.
pub struct HeldSignals {
    former: Vec<(i32, libc::sigaction)>,
    read: OwnedFd,
    _write: OwnedFd,
}

impl HeldSignals {
    /// Holds `numbers` back. A signal that is ignored stays ignored.
    ///
    /// # Errors
    /// As pipe(2) and sigaction(2); [`io::ErrorKind::ResourceBusy`] while others are held.
    pub fn hold(numbers: &[i32]) -> io::Result<HeldSignals> {
        let flags = rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK;
        let (read, write) = rustix::pipe::pipe_with(flags)?;
        if PIPE.compare_exchange(-1, write.as_raw_fd(), Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        // From here on `Drop` takes everything back.
        let mut held = HeldSignals { former: Vec::new(), read, _write: write };
        for number in numbers {
            let former = replace(*number, None)?;
            if former.sa_sigaction == libc::SIG_IGN {
                continue;
            }
            // SAFETY: all-zero is a valid sigaction: no flags, an empty mask.
            let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
            ours.sa_sigaction = note as extern "C" fn(i32) as usize;
            ours.sa_flags = libc::SA_RESTART;
            replace(*number, Some(&ours))?;
            held.former.push((*number, former));
        }
        Ok(held)
    }

    /// Becomes readable when one has arrived.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    /// Takes the numbers of those that have arrived, in order.
    #[must_use]
    pub fn take(&self) -> Vec<i32> {
        let mut numbers = Vec::new();
        let mut record = [0_u8; size_of::<i32>()];
        while rustix::io::read(&self.read, &mut record).is_ok_and(|bytes| bytes == record.len()) {
            numbers.push(i32::from_ne_bytes(record));
        }
        numbers
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        for (number, former) in &self.former {
            // The number was taken before; that cannot fail for it (sigaction(2)).
            let _ = replace(*number, Some(former));
        }
        PIPE.store(-1, Ordering::SeqCst);
    }
}

/// Sets an action, or only asks for it; gives the former one.
fn replace(number: i32, action: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    // SAFETY: both pointers are null or lead to a whole sigaction for the call; `note`, the only handler that is set
    // here, does what a handler may.
    unsafe {
        let mut former = std::mem::zeroed();
        let action = action.map_or(std::ptr::null(), std::ptr::from_ref);
        if libc::sigaction(number, action, &raw mut former) == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(former)
    }
}

/// Writes the number to the pipe and leaves errno as it was. Does nothing else: atomics and write(2) may be used in a
/// handler (signal-safety(7)). A full pipe says the same already.
extern "C" fn note(number: i32) {
    let pipe = PIPE.load(Ordering::SeqCst);
    let bytes = number.to_ne_bytes();
    // SAFETY: the errno location is this thread's own; `bytes` lives for the call; a descriptor of -1 is refused.
    unsafe {
        let errno = *libc::__errno_location();
        libc::write(pipe, bytes.as_ptr().cast(), bytes.len());
        *libc::__errno_location() = errno;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_back_ignored_and_given_back() {
        let ours = rustix::process::getpid();
        // SIGURG and SIGWINCH do nothing by default: a failure of this test ends nothing.
        let (urgent, window) = (rustix::process::Signal::URG, rustix::process::Signal::WINCH);
        // SAFETY: SIG_IGN is a valid action.
        unsafe { libc::signal(window.as_raw(), libc::SIG_IGN) };
        let held = HeldSignals::hold(&[urgent.as_raw(), window.as_raw()]).unwrap();
        let busy = HeldSignals::hold(&[urgent.as_raw()]).map(drop).unwrap_err();
        assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
        for signal in [window, urgent] {
            rustix::process::kill_process(ours, signal).unwrap();
        }
        let mut fds = [rustix::event::PollFd::from_borrowed_fd(held.fd(), rustix::event::PollFlags::IN)];
        while matches!(rustix::event::poll(&mut fds, None), Err(rustix::io::Errno::INTR)) {}
        assert_eq!(held.take(), [urgent.as_raw()]);
        drop(held);
        assert_eq!(replace(urgent.as_raw(), None).unwrap().sa_sigaction, libc::SIG_DFL);
        drop(HeldSignals::hold(&[urgent.as_raw()]).unwrap());
    }
}
