//! What a runner's process was started with, taken over by number.

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::SocketType;

use crate::channel::{Channel, ChannelError};
use crate::init::runner::{CODE_FD, RPC_FD, WORK_FD};

/// Most memory files with code that one runner is started with.
pub const MAX_CODE: i32 = 64;

/// What init left open for a runner, besides three descriptors that lead nowhere.
#[derive(Debug)]
pub struct Inherited {
    /// Stream to the trusted half.
    pub rpc: OwnedFd,
    /// Channel to init.
    pub work: Channel,
    /// Memory files, in the order in which the trusted half sent them; the first has the number 10.
    pub code: Vec<OwnedFd>,
}

/// Why this process is not one that init started as a runner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InheritedError {
    /// They were taken already.
    #[error("the runner's descriptors were taken already")]
    Taken,
    /// Nothing, or something else, is open under a number.
    #[error("descriptor {0} is not the stream to the trusted half")]
    NotAStream(RawFd),
    /// The channel to init is none.
    #[error(transparent)]
    Channel(#[from] ChannelError),
}

/// Takes over what init opened for a runner. To be called once, by the runner's first statement: before anything else in
/// the process opens a descriptor, every open number above 2 is one that init placed.
///
/// # Errors
/// [`InheritedError`]; the process was then started by something else and must end.
pub fn take() -> Result<Inherited, InheritedError> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(InheritedError::Taken);
    }
    let rpc = owned(RPC_FD).ok_or(InheritedError::NotAStream(RPC_FD))?;
    if rustix::net::sockopt::socket_type(&rpc) != Ok(SocketType::STREAM) {
        return Err(InheritedError::NotAStream(RPC_FD));
    }
    let work = owned(WORK_FD).ok_or(ChannelError::Closed)?;
    let work = Channel::from_fd(work)?;
    let code = (CODE_FD..CODE_FD + MAX_CODE).map_while(owned).collect();
    Ok(Inherited { rpc, work, code })
}

/// Closes everything above stdin, stdout and stderr that this process was started with: what the starter forgot to close
/// is none of ours. To be called by the first statement of a program, before anything opens a descriptor.
pub fn close() {
    static CLOSED: AtomicBool = AtomicBool::new(false);
    // Later calls would close what this process opened itself.
    if !CLOSED.swap(true, Ordering::SeqCst) {
        crate::descriptors::close_range(3, u32::MAX);
    }
}

fn owned(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: the borrow ends with this statement, in which fcntl(2) only looks the number up; for a number that is not
    // open it answers EBADF.
    rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) }).ok()?;
    // SAFETY: the number is open, as just seen. `take` runs once in the process, and comes before everything that opens
    // descriptors, so nothing else in the process owns the number.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}
