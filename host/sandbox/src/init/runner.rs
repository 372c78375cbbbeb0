//! Starting the runner: the untrusted half's process, confined before its first instruction.

use std::ffi::CString;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::process::{Pid, Signal};
use stigmer_policy::{Layer, Level};

use crate::channel::{self, Channel};
use crate::failure::Step;
use crate::fork::{Side, exit, fork};
use crate::jail::layers::Layers;
use crate::jail::plan::Plan;
use crate::jail::{capabilities, landlock};
use crate::message::{RunnerSetup, SetupFailure};
use crate::{descriptors, seccomp};

/// Where a runner finds its stream to the trusted half.
pub const RPC_FD: i32 = 3;
/// Where a runner finds its channel to init.
pub const WORK_FD: i32 = 4;
/// Where a runner finds the first code memfd; further ones follow.
pub const CODE_FD: i32 = 10;

/// Permission bits that new files of file tools and plugins do not get.
const UMASK: u32 = 0o022;

/// Descriptors that a runner is started with, in the order that the trusted half sends them.
pub(crate) struct Handed {
    pub(crate) executable: OwnedFd,
    pub(crate) rpc: OwnedFd,
    pub(crate) code: Vec<OwnedFd>,
}

impl Handed {
    /// Takes the descriptors that came with a setup.
    pub(crate) fn take(mut descriptors: Vec<OwnedFd>) -> Option<Handed> {
        if descriptors.len() < 2 {
            return None;
        }
        let code = descriptors.split_off(2);
        let rpc = descriptors.pop()?;
        Some(Handed { executable: descriptors.pop()?, rpc, code })
    }
}

/// Starts a runner; returns its pid and init's end of *work*.
///
/// # Errors
/// When no process or channel can be made.
pub(crate) fn start(
    plan: &Plan,
    layers: &Layers,
    setup: &RunnerSetup,
    handed: &Handed,
) -> Result<(Pid, Channel), SetupFailure> {
    let (ours, theirs) = channel::pair().step(Layer::Stage, "make a channel to the runner")?;
    match fork(0).step(Layer::Stage, "make the runner's process")? {
        Side::Parent(pid) => Ok((pid, ours)),
        Side::Child => {
            // Nobody can be told: init sees the exit and reports it.
            let _ = become_runner(plan, layers, setup, handed, theirs.into_fd());
            exit(126)
        }
    }
}

fn become_runner(
    plan: &Plan,
    layers: &Layers,
    setup: &RunnerSetup,
    handed: &Handed,
    work: OwnedFd,
) -> Result<std::convert::Infallible, SetupFailure> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).step(Layer::Stage, "follow init's end")?;
    rustix::process::setsid().step(Layer::Scrub, "start a session")?;
    // The daemon's own files are private; those that file tools make for the person are as a shell's.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(UMASK));
    let executable = place_descriptors(handed, work).step(Layer::Scrub, "connect the runner")?;
    if layers.has(Layer::Capabilities) {
        capabilities::drop_all()?;
    }
    rustix::thread::set_no_new_privs(true).step(Layer::Seccomp, "give up gaining rights")?;
    if let Some(domain) = landlock::for_runner(layers, &plan.files, &executable)? {
        landlock::enter(&domain)?;
    }
    if plan.level != Level::Filesystem && layers.has(Layer::Seccomp) {
        seccomp::program(seccomp::Caller::Runner).install().step(Layer::Seccomp, "install the runner's filter")?;
    }
    exec(&executable, setup)
}

/// Puts every descriptor at its number; the executable goes above all of them and closes on exec.
fn place_descriptors(handed: &Handed, work: OwnedFd) -> std::io::Result<OwnedFd> {
    let count = i32::try_from(handed.code.len()).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    let above = CODE_FD + count;
    // Closed by number below; a value that closed its number again would end the process.
    let work = ManuallyDrop::new(work);
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())?;
    let null = ManuallyDrop::new(null);
    // Copies above every target first, so that no placing overwrites what is still to be placed.
    let high = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, above + 1).map(ManuallyDrop::new);
    let executable = rustix::io::fcntl_dupfd_cloexec(&handed.executable, above)?;
    let (rpc, work, null) = (high(&handed.rpc)?, high(&work)?, high(&null)?);
    let code = handed.code.iter().map(high).collect::<Result<Vec<_>, _>>()?;
    for number in 0..3 {
        descriptors::place(&null, number)?;
    }
    descriptors::place(&rpc, RPC_FD)?;
    descriptors::place(&work, WORK_FD)?;
    for (fd, number) in code.iter().zip(CODE_FD..) {
        descriptors::place(fd, number)?;
    }
    let mut keep: Vec<i32> = (0..=WORK_FD).collect();
    keep.extend(CODE_FD..CODE_FD + count);
    keep.push(executable.as_raw_fd());
    descriptors::keep_only(&keep);
    Ok(executable)
}

fn exec(executable: &OwnedFd, setup: &RunnerSetup) -> Result<std::convert::Infallible, SetupFailure> {
    let texts = |list: &[Vec<u8>]| {
        let texts: Result<Vec<_>, _> = list.iter().map(|item| CString::new(item.clone())).collect();
        texts.map_err(|_| std::io::Error::from(std::io::ErrorKind::InvalidInput))
    };
    let argv = texts(&setup.argv).step(Layer::Stage, "name the runner's arguments")?;
    let env = texts(&setup.env).step(Layer::Stage, "name the runner's environment")?;
    let pointers = |list: &[CString]| {
        let mut pointers: Vec<_> = list.iter().map(|item| item.as_ptr()).collect();
        pointers.push(std::ptr::null());
        pointers
    };
    let (argv, env) = (pointers(&argv), pointers(&env));
    // SAFETY: an empty path with AT_EMPTY_PATH names the descriptor itself (execveat(2)); the lists are NULL-terminated
    // and outlive the call, which returns only on failure.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            executable.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Err(std::io::Error::last_os_error()).step(Layer::Stage, "start the runner's program")
}

/// The first of several descriptors, and the others.
pub(super) fn split_first(descriptors: Vec<OwnedFd>) -> Option<(OwnedFd, Vec<OwnedFd>)> {
    let mut descriptors = descriptors.into_iter();
    let first = descriptors.next()?;
    Some((first, descriptors.collect()))
}
