//! Many processes that do nothing but wait, each as cheap as a process can be: hundreds of ordinary forks would be most of
//! what all the probes cost.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::process::Pid;

use super::attempt::reap;

/// Stack of one of them, in bytes: it calls the kernel twice and nothing else.
const STACK: usize = 16 << 10;

/// Processes that wait until this value is dropped; then they are gone and reaped.
#[derive(Debug)]
pub(crate) struct Crowd {
    read: OwnedFd,
    /// `None` from the moment when they may go.
    write: Option<OwnedFd>,
    children: Vec<Pid>,
    stacks: *mut libc::c_void,
    size: usize,
}

/// What a child is told.
struct Ends {
    read: libc::c_int,
    write: libc::c_int,
}

impl Crowd {
    /// Room for `most` processes, none of which is there yet. The calling process must have one thread.
    ///
    /// # Errors
    /// As pipe(2) and mmap(2).
    pub(crate) fn new(most: usize) -> io::Result<Crowd> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let size = most.max(1) * STACK;
        let (none, access) = (std::ptr::null_mut(), ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: a new mapping, at a place that the kernel chooses: nothing else lies there.
        let stacks = unsafe { mmap_anonymous(none, size, access, MapFlags::PRIVATE) }?;
        Ok(Crowd { read, write: Some(write), children: Vec::with_capacity(most), stacks, size })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.children.len()
    }

    /// Adds one.
    ///
    /// # Errors
    /// As clone(2); `InvalidInput` when there is no room for another.
    pub(crate) fn grow(&mut self) -> io::Result<()> {
        let top = (self.children.len() + 1) * STACK;
        let Some(write) = self.write.as_ref().filter(|_| top <= self.size) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let place = top - size_of::<Ends>().next_multiple_of(16);
        // SAFETY: `place` and what is written there lie within the mapping, in the STACK bytes below `top`, which are no
        // other child's; the mapping begins at a page, so that both are aligned to 16.
        let ends = unsafe {
            let ends = self.stacks.byte_add(place).cast::<Ends>();
            ends.write(Ends { read: self.read.as_raw_fd(), write: write.as_raw_fd() });
            ends.cast::<libc::c_void>()
        };
        // SAFETY: the child's stack grows down from `ends`, in its own part of the mapping, which stays until `drop` has
        // reaped every child. It shares memory, has its own descriptors, and runs `wait` alone, which touches that stack
        // only; calls that succeed do not write to the `errno` that it shares.
        let pid = unsafe { libc::clone(wait, ends, libc::CLONE_VM | libc::SIGCHLD, ends) };
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        self.children.push(Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?);
        Ok(())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.write = None;
        for child in self.children.drain(..) {
            let _ = reap(child);
        }
        // SAFETY: the mapping is this value's own, and every process that stood on it is gone.
        let _ = unsafe { munmap(self.stacks, self.size) };
    }
}

/// Waits until the pipe's other end is closed everywhere: by whoever made the crowd, or by the end of that process.
extern "C" fn wait(ends: *mut libc::c_void) -> libc::c_int {
    let mut byte = 0u8;
    // SAFETY: `ends` was written before this process began. Both numbers are its own copies of open descriptors, `byte` is
    // writable.
    unsafe {
        let Ends { read, write } = &*ends.cast::<Ends>();
        libc::close(*write);
        libc::read(*read, (&raw mut byte).cast(), 1);
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fork::{Side, exit, fork};

    /// Whether the kernel knows of a process (or of one that nobody has waited for).
    fn there(pid: Pid) -> bool {
        rustix::process::test_kill_process(pid).is_ok()
    }

    #[test]
    fn they_are_processes_of_their_own_and_none_is_left() {
        // In a child: the test runner has threads.
        let Side::Parent(child) = fork(0).unwrap() else {
            let held = (|| {
                let mut crowd = Crowd::new(3)?;
                for _ in 0..3 {
                    crowd.grow()?;
                }
                let full = crowd.grow().is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput);
                let pids = crowd.children.clone();
                let distinct = pids.iter().all(|pid| pids.iter().filter(|other| *other == pid).count() == 1);
                let alive = crowd.len() == 3 && pids.iter().all(|pid| there(*pid));
                drop(crowd);
                Ok::<_, io::Error>(full && distinct && alive && !pids.iter().any(|pid| there(*pid)))
            })();
            exit(i32::from(!matches!(held, Ok(true))))
        };
        let status = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()).unwrap().unwrap().1;
        assert_eq!(status.exit_status(), Some(0));
    }
}
