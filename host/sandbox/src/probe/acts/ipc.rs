//! System V and POSIX ipc of the host.

use std::ffi::CString;

use stigmer_policy::Promise::Ipc;

use super::{called, same};
use crate::probe::act::{Act, Attempt, How};
use crate::probe::scene::Scene;

pub(super) const ACTS: &[Act] = &[
    Act {
        promise: Ipc,
        name: "segment",
        sentence: "attach a System V segment of the host",
        how: How::Plain(segment),
        effect: None,
    },
    Act {
        promise: Ipc,
        name: "queue",
        sentence: "open a POSIX message queue of the host",
        how: How::Plain(queue),
        effect: None,
    },
];

fn segment(scene: &Scene) -> Attempt {
    let Some(id) = scene.segment else { return super::absent("no System V ipc") };
    // SAFETY: the kernel chooses the address; a segment that it attaches has at least one page.
    let at = unsafe { libc::shmat(id, std::ptr::null(), libc::SHM_RDONLY) };
    called(at as libc::c_long)?;
    // SAFETY: attached above, readable, one page at least, and nobody detaches it in this process.
    let read = unsafe { std::slice::from_raw_parts(at.cast::<u8>(), scene.canary.len()) };
    same(read, &scene.canary)
}

fn queue(scene: &Scene) -> Attempt {
    let Some(name) = &scene.queue else { return super::absent("no POSIX queues") };
    let name = CString::new(name.as_bytes()).expect("made of letters and digits");
    // SAFETY: mq_open(3) without O_CREAT reads a NUL-terminated name; the descriptor goes with this process.
    called(unsafe { libc::mq_open(name.as_ptr(), libc::O_RDONLY) }.into())?;
    Ok(())
}
