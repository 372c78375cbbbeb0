//! The first statements of the process.

use std::os::fd::OwnedFd;

use stigmer_policy::Level;
use stigmer_sandbox::channel::Channel;
use stigmer_sandbox::inherited;
use stigmer_sandbox::seccomp::{Caller, program};

use crate::run::{Ended, run};

/// Threads that poll. Two: a guest that computes holds one of them between two ticks of its clock, and cancelling,
/// events and the other calls must go on meanwhile. A third would only cost start time.
const WORKERS: usize = 2;
/// Threads for work that blocks: one per call that may run at once, as many again for their writes to init and scratch.
const BLOCKING: usize = 2 * stigmer_policy::limits::PARALLEL_CALLS;

/// What a runner stands on.
#[derive(Debug)]
pub struct Handed {
    /// Stream to the trusted half.
    pub rpc: OwnedFd,
    /// Channel to init.
    pub work: Channel,
    /// Memory files of code or components.
    pub code: Vec<OwnedFd>,
}

/// The whole life of a runner's process, which init has started as `PROGRAM agent-runner LEVEL`. Call it before anything
/// in the process opens a descriptor, starts a thread or reads.
///
/// The exit code is that of [`Ended`]; a process that is not what it should be ends with [`Ended::Unfit`].
pub fn main() -> ! {
    main_with(|handed| match runtime() {
        Ok(runtime) => runtime.block_on(run(handed)),
        Err(_) => Ended::Unfit,
    })
}

/// As [`main`], with other work: confined in the same way, in the same place.
pub fn main_with(work: impl FnOnce(Handed) -> Ended) -> ! {
    let ended = confine().map_or(Ended::Unfit, work);
    // Not by returning: a thread that waits for init, or for a command's output, would hold the process.
    std::process::exit(ended.code())
}

/// Takes over what init left open, then gives up what only the start needed. Before the first byte is read: whatever
/// comes later finds a process that can neither start programs nor make processes.
fn confine() -> Option<Handed> {
    let inherited::Inherited { rpc, work, code } = inherited::take().ok()?;
    // The level was chosen by the trusted half, whose arguments these are.
    let level = std::env::args_os().nth(2)?;
    let level = Level::ALL.iter().find(|known| *known.name() == *level)?;
    // At `filesystem` nothing of the kernel's confinement is in place; the filter needs what init would have set.
    if *level != Level::Filesystem {
        program(Caller::RunnerLockdown).install().ok()?;
    }
    Some(Handed { rpc, work, code })
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING)
        .thread_name("runner")
        .enable_all()
        .build()
}
