//! Processes of the host: looking into them, signalling them, seeing them, outliving a command.

#![expect(clippy::disallowed_methods, reason = "an act names /proc of the host: reaching it is what it tries")]

use std::os::unix::fs::FileExt;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal};
use stigmer_policy::Promise::{ProcessNames, Processes, Signals, Survivors};

use super::{called, elsewhere, same};
use crate::probe::act::{Act, Attempt, Barred, Effect, How};
use crate::probe::scene::Scene;

pub(super) const ACTS: &[Act] = &[
    Act {
        promise: Processes,
        name: "trace",
        sentence: "trace a process of the host",
        how: How::Plain(trace),
        effect: None,
    },
    Act {
        promise: Processes,
        name: "read-memory",
        sentence: "read its memory by process_vm_readv",
        how: How::Plain(read_memory),
        effect: None,
    },
    Act {
        promise: Processes,
        name: "memory-file",
        sentence: "read its memory by /proc",
        how: How::Plain(memory_file),
        effect: None,
    },
    Act {
        promise: Processes,
        name: "environment-file",
        sentence: "read its environment by /proc",
        how: How::Plain(environment_file),
        effect: None,
    },
    Act {
        promise: Processes,
        name: "take-descriptor",
        sentence: "take one of its descriptors (pidfd_getfd)",
        how: How::Plain(take_descriptor),
        effect: None,
    },
    Act {
        promise: Signals,
        name: "kill",
        sentence: "signal a process of the host",
        how: How::Plain(|scene| {
            // SAFETY: kill(2) takes two numbers; the id is one positive process, never a group or everyone.
            called(unsafe { libc::kill(target(scene)?.as_raw_nonzero().get(), libc::SIGUSR1) }.into())?;
            Ok(())
        }),
        effect: Some(|set| Effect::seen(set.process.is_pending(libc::SIGUSR1))),
    },
    Act {
        promise: Signals,
        name: "pidfd",
        sentence: "signal it by a descriptor",
        how: How::Plain(signal_by_descriptor),
        effect: Some(|set| Effect::seen(set.process.is_pending(libc::SIGUSR2))),
    },
    Act {
        promise: ProcessNames,
        name: "names",
        sentence: "find a process of the host by its name",
        how: How::Plain(names),
        effect: None,
    },
    Act {
        promise: ProcessNames,
        name: "arguments",
        sentence: "read the arguments of a process of the host by its number",
        how: How::Plain(arguments),
        effect: None,
    },
    Act {
        promise: Survivors,
        name: "double-fork",
        sentence: "leave a process behind in a session of its own",
        how: How::Survivor,
        effect: None,
    },
];

/// Never zero and never negative: such numbers mean groups, or everyone.
fn target(scene: &Scene) -> Result<Pid, Barred> {
    match Pid::from_raw(scene.process.pid) {
        Some(pid) if scene.process.pid > 1 => Ok(pid),
        _ => Err(Barred::Absent("no process to aim at".to_owned())),
    }
}

fn trace(scene: &Scene) -> Attempt {
    let pid = target(scene)?.as_raw_nonzero().get();
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: PTRACE_SEIZE and PTRACE_INTERRUPT read no memory of ours.
    called(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, none, none) })?;
    // SAFETY: as above.
    called(unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, pid, none, none) })?;
    let mut status = 0;
    // SAFETY: `status` is writable for the call.
    called(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) }.into())?;
    let address = scene.process.address as *mut libc::c_void;
    // SAFETY: PTRACE_PEEKDATA reads the traced process at an address; nothing of ours is read or written.
    let word = unsafe { libc::ptrace(libc::PTRACE_PEEKDATA, pid, address, none) };
    // SAFETY: as for PTRACE_SEIZE; the process goes on as before.
    called(unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, none, none) })?;
    same(&word.to_ne_bytes(), &scene.canary[..size_of_val(&word)])
}

fn read_memory(scene: &Scene) -> Attempt {
    let pid = target(scene)?.as_raw_nonzero().get();
    let mut read = vec![0u8; scene.canary.len()];
    let ours = libc::iovec { iov_base: read.as_mut_ptr().cast(), iov_len: read.len() };
    let theirs = libc::iovec { iov_base: scene.process.address as *mut libc::c_void, iov_len: read.len() };
    // SAFETY: `ours` describes `read`, which is writable and outlives the call; `theirs` is only a number here.
    called(unsafe { libc::process_vm_readv(pid, &raw const ours, 1, &raw const theirs, 1, 0) } as libc::c_long)?;
    same(&read, &scene.canary)
}

fn memory_file(scene: &Scene) -> Attempt {
    let mut read = vec![0u8; scene.canary.len()];
    let file = std::fs::File::open(format!("/proc/{}/mem", target(scene)?))?;
    file.read_exact_at(&mut read, scene.process.address)?;
    same(&read, &scene.canary)
}

fn environment_file(scene: &Scene) -> Attempt {
    if !scene.process.environment {
        return super::absent("no environment to read");
    }
    same(&std::fs::read(format!("/proc/{}/environ", target(scene)?))?, &scene.canary)
}

fn take_descriptor(scene: &Scene) -> Attempt {
    let process = rustix::process::pidfd_open(target(scene)?, PidfdFlags::empty())?;
    let taken = rustix::process::pidfd_getfd(&process, scene.process.descriptor, PidfdGetfdFlags::empty())?;
    let stat = rustix::fs::fstat(&taken)?;
    if (stat.st_dev, stat.st_ino) == scene.open_file { Ok(()) } else { elsewhere("another process's descriptor") }
}

fn signal_by_descriptor(scene: &Scene) -> Attempt {
    let process = rustix::process::pidfd_open(target(scene)?, PidfdFlags::empty())?;
    Ok(rustix::process::pidfd_send_signal(&process, Signal::USR2)?)
}

fn names(scene: &Scene) -> Attempt {
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if name.trim_end() == scene.process.name {
            return Ok(());
        }
    }
    elsewhere("no process of the host is in view")
}

fn arguments(scene: &Scene) -> Attempt {
    let folder = std::path::PathBuf::from(format!("/proc/{}", target(scene)?));
    let arguments = std::fs::read(folder.join("cmdline"))?;
    // A namesake of the jail's own may have that number.
    let name = std::fs::read_to_string(folder.join("comm"))?;
    if name.trim_end() == scene.process.name && !arguments.is_empty() {
        return Ok(());
    }
    elsewhere("the number is no process of the host")
}
