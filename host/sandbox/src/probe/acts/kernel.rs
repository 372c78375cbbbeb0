//! Kernel surface, and gaining rights.

use stigmer_policy::Promise::{KernelSurface, Privileges};

use super::{absent, called};
use crate::probe::act::{Act, Attempt, How};
use crate::probe::scene::Scene;

pub(super) const ACTS: &[Act] = &[
    Act {
        promise: KernelSurface,
        name: "io-uring",
        sentence: "set up io_uring",
        how: How::Plain(io_uring),
        effect: None,
    },
    Act { promise: KernelSurface, name: "bpf", sentence: "make a BPF map", how: How::Plain(bpf), effect: None },
    Act {
        promise: KernelSurface,
        name: "unshare",
        sentence: "make a user namespace",
        how: How::Plain(|_| unshare(libc::CLONE_NEWUSER)),
        effect: None,
    },
    Act {
        promise: KernelSurface,
        name: "mount",
        sentence: "mount something in namespaces of its own",
        how: How::Plain(mount),
        effect: None,
    },
    Act {
        promise: KernelSurface,
        name: "keyring",
        sentence: "put a key into a keyring of the kernel",
        how: How::Plain(keyring),
        effect: None,
    },
    Act {
        promise: KernelSurface,
        name: "32-bit-call",
        sentence: "call the kernel by its 32-bit numbers",
        how: How::Plain(foreign::thirty_two_bit),
        effect: None,
    },
    Act {
        promise: KernelSurface,
        name: "x32-call",
        sentence: "call the kernel by its x32 numbers",
        how: How::Plain(foreign::x32),
        effect: None,
    },
    Act {
        promise: Privileges,
        name: "no-new-privileges",
        sentence: "start a program that may gain rights",
        how: How::Plain(may_gain),
        effect: None,
    },
];

fn io_uring(_: &Scene) -> Attempt {
    /// Bytes of `struct io_uring_params` (io_uring_setup(2)).
    const PARAMETERS: usize = 120;
    let mut parameters = [0u64; PARAMETERS / size_of::<u64>()];
    // SAFETY: the kernel reads and writes PARAMETERS bytes, which the array has, aligned as u64.
    called(unsafe { libc::syscall(libc::SYS_io_uring_setup, 1_u32, parameters.as_mut_ptr()) })?;
    Ok(())
}

fn bpf(_: &Scene) -> Attempt {
    /// BPF_MAP_CREATE (bpf(2)).
    const MAP_CREATE: i32 = 0;
    /// An array map of one entry with a key and a value of four bytes: type, key, value, entries.
    const ARRAY: [u32; 4] = [2, 4, 4, 1];
    // SAFETY: the kernel reads the given number of bytes of the attributes, which outlive the call.
    called(unsafe { libc::syscall(libc::SYS_bpf, MAP_CREATE, ARRAY.as_ptr(), size_of_val(&ARRAY)) })?;
    Ok(())
}

fn unshare(flags: i32) -> Result<(), crate::probe::act::Barred> {
    // SAFETY: unshare(2) takes a number; this process has one thread and does nothing else afterwards.
    called(unsafe { libc::unshare(flags) }.into())?;
    Ok(())
}

fn mount(scene: &Scene) -> Attempt {
    unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS)?;
    let flags = rustix::mount::MountFlags::NOSUID | rustix::mount::MountFlags::NODEV;
    Ok(rustix::mount::mount("tmpfs", &scene.workspace, "tmpfs", flags, c"size=4096")?)
}

fn keyring(_: &Scene) -> Attempt {
    /// KEY_SPEC_PROCESS_KEYRING (keyrings(7)): gone with the process, so that the control leaves nothing.
    const PROCESS_KEYRING: i32 = -2;
    let (kind, name, content) = (c"user", c"stigmer-probe", b"1");
    // SAFETY: the kernel reads two NUL-terminated texts and one byte; all outlive the call.
    called(unsafe {
        libc::syscall(libc::SYS_add_key, kind.as_ptr(), name.as_ptr(), content.as_ptr(), 1_usize, PROCESS_KEYRING)
    })?;
    Ok(())
}

fn may_gain(_: &Scene) -> Attempt {
    // SAFETY: PR_GET_NO_NEW_PRIVS takes zeros and touches no memory (prctl(2)).
    let given_up = called(unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0_u64, 0_u64, 0_u64, 0_u64) }.into())?;
    if given_up == 1 { super::elsewhere("programs gain nothing (no_new_privs)") } else { Ok(()) }
}

#[cfg(target_arch = "x86_64")]
mod foreign {
    use super::{Attempt, Scene, absent, called};
    use crate::probe::act::Barred;

    /// `getpid` among the 32-bit numbers (arch/x86/entry/syscalls/syscall_32.tbl).
    const GETPID_32: i64 = 20;
    /// Marks an x32 number (`__X32_SYSCALL_BIT`).
    const X32: libc::c_long = 0x4000_0000;

    pub(super) fn thirty_two_bit(_: &Scene) -> Attempt {
        let mut result = GETPID_32;
        // SAFETY: getpid takes nothing and touches no memory; the 32-bit entry preserves all registers but rax, and on
        // some kernels clears r8 to r11, which are given up here. Without such an entry the kernel ends this process.
        unsafe {
            std::arch::asm!("int 0x80", inlateout("rax") result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
        }
        if result > 0 { Ok(()) } else { Err(Barred::Errno(i32::try_from(-result).unwrap_or(0))) }
    }

    pub(super) fn x32(_: &Scene) -> Attempt {
        // SAFETY: getpid takes nothing and touches no memory.
        match called(unsafe { libc::syscall(X32 | libc::SYS_getpid) }) {
            Err(Barred::Errno(libc::ENOSYS)) => absent("the kernel has no x32 numbers"),
            other => other.map(|_| ()),
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod foreign {
    use super::{Attempt, Scene, absent};

    pub(super) fn thirty_two_bit(_: &Scene) -> Attempt {
        absent("a 64-bit process here has no 32-bit numbers")
    }

    pub(super) fn x32(_: &Scene) -> Attempt {
        absent("the architecture has no x32 numbers")
    }
}
