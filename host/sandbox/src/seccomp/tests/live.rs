//! The filters in the kernel: children that install one and try. Each child is one process, ends by itself within
//! seconds (`alarm`), and is reaped.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::seccomp::{Caller, program, set_no_new_privs};

/// A call, and the errno that the filtered child is to see (0: success).
struct Try(&'static str, libc::c_long, [u64; 4], i32);

const STREAM: u64 = libc::SOCK_STREAM as u64;
const UNIX: u64 = libc::AF_UNIX as u64;

#[test]
fn a_command_at_full_level_in_the_kernel() {
    attempt(
        Some(Caller::CommandFull),
        &[
            Try("getpid", libc::SYS_getpid, [0; 4], 0),
            Try("openat /", libc::SYS_openat, [libc::AT_FDCWD as u64, c"/".as_ptr() as u64, 0, 0], 0),
            Try("socket TCP", libc::SYS_socket, [libc::AF_INET as u64, STREAM, 0, 0], 0),
            Try("socket netlink", libc::SYS_socket, [libc::AF_NETLINK as u64, libc::SOCK_RAW as u64, 0, 0], 0),
            Try("socket UDP", libc::SYS_socket, [libc::AF_INET as u64, libc::SOCK_DGRAM as u64, 0, 0], libc::EPERM),
            Try("socket vsock", libc::SYS_socket, [libc::AF_VSOCK as u64, STREAM, 0, 0], libc::EPERM),
            Try("socket MPTCP", libc::SYS_socket, [libc::AF_INET as u64, STREAM, 262, 0], libc::EPERM),
            Try("ptrace", libc::SYS_ptrace, [libc::PTRACE_TRACEME as u64, 0, 0, 0], libc::EPERM),
            Try("mount", libc::SYS_mount, [0; 4], libc::EPERM),
            Try("unshare", libc::SYS_unshare, [libc::CLONE_NEWUSER as u64, 0, 0, 0], libc::EPERM),
            // Without a filter: EINVAL, a null parameter block.
            Try("io_uring_setup", libc::SYS_io_uring_setup, [1, 0, 0, 0], libc::ENOSYS),
            Try("clone3", libc::SYS_clone3, [0; 4], libc::ENOSYS),
            Try("no call yet", 599, [0; 4], libc::ENOSYS),
            Try("syscall(-1)", -1, [0; 4], libc::ENOSYS),
            // Without a filter: ENOTTY or EBADF.
            Try("TIOCSTI", libc::SYS_ioctl, [0, libc::TIOCSTI, 0, 0], libc::EPERM),
            Try("TIOCSTI, dirty", libc::SYS_ioctl, [0, libc::TIOCSTI | 1 << 40, 0, 0], libc::EPERM),
        ],
    );
}

/// The twin of the refusals: where no filter stands, any user's process gets these from the kernel.
#[test]
fn the_same_calls_pass_without_a_filter() {
    let mut pair = [0_i32; 2];
    let pair_at = (&raw mut pair) as u64;
    attempt(
        None,
        &[
            Try("socket UDP", libc::SYS_socket, [libc::AF_INET as u64, libc::SOCK_DGRAM as u64, 0, 0], 0),
            Try("socket TCP", libc::SYS_socket, [libc::AF_INET as u64, STREAM, 0, 0], 0),
            Try("socket unix", libc::SYS_socket, [UNIX, STREAM, 0, 0], 0),
            Try("datagram pair", libc::SYS_socketpair, [UNIX, libc::SOCK_DGRAM as u64, 0, pair_at], 0),
            Try("memfd_create", libc::SYS_memfd_create, [c"".as_ptr() as u64, 0, 0, 0], 0),
            Try("kcmp", libc::SYS_kcmp, [0; 4], libc::ESRCH),
            Try("clone3", libc::SYS_clone3, [0; 4], libc::EINVAL),
            Try("mount", libc::SYS_open_tree, [u64::MAX, c"x".as_ptr() as u64, 0, 0], libc::EBADF),
            Try("ptrace", libc::SYS_ptrace, [libc::PTRACE_TRACEME as u64, 0, 0, 0], 0),
        ],
    );
}

#[test]
fn a_command_at_base_level_in_the_kernel() {
    let mut pair = [0_i32; 2];
    let pair_at = (&raw mut pair) as u64;
    attempt(
        Some(Caller::CommandBase),
        &[
            Try("getpid", libc::SYS_getpid, [0; 4], 0),
            Try("socketpair", libc::SYS_socketpair, [UNIX, STREAM, 0, pair_at], 0),
            Try("datagram pair", libc::SYS_socketpair, [UNIX, libc::SOCK_DGRAM as u64, 0, pair_at], libc::EPERM),
            Try("socket TCP", libc::SYS_socket, [libc::AF_INET as u64, STREAM, 0, 0], libc::EPERM),
            Try("socket unix", libc::SYS_socket, [UNIX, STREAM, 0, 0], libc::EPERM),
            Try("shmget", libc::SYS_shmget, [0, 4096, 0o600, 0], libc::EPERM),
            Try("own limit", libc::SYS_prlimit64, [0, u64::from(libc::RLIMIT_CORE), 0, 0], 0),
            Try("affinity of pid 1", libc::SYS_sched_setaffinity, [1, 0, 0, 0], libc::EPERM),
        ],
    );
}

#[test]
fn the_runner_in_the_kernel() {
    let common = [
        Try("getpid", libc::SYS_getpid, [0; 4], 0),
        Try("socket unix", libc::SYS_socket, [UNIX, STREAM, 0, 0], libc::EPERM),
        Try("fork", libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0], libc::EPERM),
        Try("memfd_create", libc::SYS_memfd_create, [c"".as_ptr() as u64, 0, 0, 0], libc::EPERM),
    ];
    attempt(Some(Caller::Runner), &common);
    attempt(Some(Caller::RunnerLockdown), &common);
}

/// The descriptor is how init starts the runner; afterwards the same call starts nothing any more.
#[test]
fn the_runner_is_started_by_descriptor_until_its_lockdown() {
    let program_file = std::fs::File::open("/bin/true").unwrap();
    let arguments = [c"true".as_ptr(), std::ptr::null()];
    let start = || {
        // SAFETY: an open descriptor, an empty path, and two arrays of C strings that end in null (the second is
        // empty). Returns only when it fails.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                program_file.as_raw_fd(),
                c"".as_ptr(),
                arguments.as_ptr(),
                arguments[1..].as_ptr(),
                libc::AT_EMPTY_PATH,
            )
        };
        io::Error::last_os_error().raw_os_error().unwrap_or(-1)
    };
    let (runner, lockdown) = (program(Caller::Runner), program(Caller::RunnerLockdown));
    let status = child(|| if set_no_new_privs().is_ok() && runner.install().is_ok() { start() } else { -1 });
    assert_eq!(status, 0, "`true` under the runner's filter: wait status");
    let status = child(|| if set_no_new_privs().is_ok() && lockdown.install().is_ok() { start() } else { -1 });
    assert_eq!(status, libc::EPERM << 8, "exit code of the child is the errno of its execveat");
}

/// The two filters of a runner, one on the other, as init and the runner install them.
#[test]
fn lockdown_goes_over_the_runners_filter_and_none_goes_over_it() {
    let (first, second) = (program(Caller::Runner), program(Caller::RunnerLockdown));
    let status = child(|| {
        let steps = [set_no_new_privs(), first.install(), set_no_new_privs(), second.install()];
        if steps.iter().any(Result::is_err) {
            return 1;
        }
        match second.install() {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => 0,
            _ => 2,
        }
    });
    assert_eq!(status, 0, "wait status; exit 1: not installed, exit 2: installed once more");
}

/// Without it an unprivileged process cannot install a filter; a privileged one can, so only the flag itself is checked.
#[test]
fn no_new_privs_is_set_for_good() {
    let status = child(|| {
        // SAFETY: PR_GET_NO_NEW_PRIVS takes no pointer.
        let get = || unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0_u64, 0_u64, 0_u64, 0_u64) };
        i32::from(!(set_no_new_privs().is_ok() && get() == 1))
    });
    assert_eq!(status, 0, "wait status");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn another_abi_ends_the_process() {
    use std::arch::asm;

    // getpid, as a 32-bit program asks for it.
    let old_abi = || {
        let answer: u64;
        // SAFETY: interrupt 0x80 with eax = 20 takes no argument; it changes rax and, on older kernels, r8 to r11.
        unsafe {
            asm!("int 0x80", inout("rax") 20_u64 => answer, out("r8") _, out("r9") _, out("r10") _, out("r11") _)
        };
        // SAFETY: takes nothing, gives a number.
        i32::from(answer != unsafe { libc::getpid() } as u64)
    };
    // SAFETY: as above; the number is getpid's of x32, on kernels that have it.
    let x32 = || i32::from(unsafe { libc::syscall(libc::SYS_getpid | 0x4000_0000) } < 0);
    let command = program(Caller::CommandFull);
    let install = || set_no_new_privs().is_ok() && command.install().is_ok();

    let plain = child(old_abi);
    let filtered = child(|| if install() { old_abi() } else { 2 });
    // Where the kernel has no 32-bit calls, the instruction itself is a fault, filtered or not.
    let expected = if plain == 0 { libc::SIGSYS } else { libc::SIGSEGV };
    assert_eq!(filtered & 0x7f, expected, "status {filtered:#x}, unfiltered {plain:#x}");
    let filtered = child(|| if install() { x32() } else { 2 });
    assert_eq!(filtered & 0x7f, libc::SIGSYS, "x32: status {filtered:#x}");
}

#[test]
fn an_ordinary_script_passes_at_both_levels() {
    const SCRIPT: &str = "set -e; d=$(mktemp -d); cd $d; echo one > a; cp a b; mv b c; ln -s c l; chmod 700 c; touch c
        mkfifo p; (cat p > out &) ; echo two > p; nice -n 1 sh -c 'ulimit -n 64; cat a'; sleep 0 & wait $!
        test -p p; find . -name a | xargs wc -l > /dev/null; cd /; rm -r $d";
    for caller in [Caller::CommandFull, Caller::CommandBase] {
        let filter = program(caller);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT]);
        // SAFETY: runs between fork and exec; both steps are system calls that neither allocate nor lock.
        unsafe { command.pre_exec(|| set_no_new_privs().and_then(|()| filter.install())) };
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {} {errors}", caller.name(), output.status);
        assert_eq!(output.stdout, b"one\n", "{}: {errors}", caller.name());
    }
}

/// Makes the calls in a child, under a filter if one is given, and compares what each said.
fn attempt(caller: Option<Caller>, tries: &[Try]) {
    let filter = caller.map(program);
    let who = caller.map_or("unfiltered", Caller::name);
    let (mut reader, writer) = io::pipe().unwrap();
    let status = child(|| {
        if filter.is_some_and(|filter| set_no_new_privs().is_err() || filter.install().is_err()) {
            return 1;
        }
        for Try(_, number, [a, b, c, d], _) in tries {
            // SAFETY: the arguments are numbers, pointers to static strings, or into the frame of the waiting test,
            // of which this child has its own copy; calls that could do harm are given arguments that do none.
            let result = unsafe { libc::syscall(*number, *a, *b, *c, *d, 0_u64, 0_u64) };
            let errno = if result < 0 { io::Error::last_os_error().raw_os_error().unwrap_or(-1) } else { 0 };
            let bytes = errno.to_ne_bytes();
            // SAFETY: four bytes of this frame, to a pipe that is held open.
            if unsafe { libc::write(writer.as_raw_fd(), bytes.as_ptr().cast(), 4) } != 4 {
                return 2;
            }
        }
        0
    });
    assert_eq!(status, 0, "{who}: wait status of the child");
    drop(writer);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    let seen: Vec<i32> = bytes.chunks_exact(4).map(|four| i32::from_ne_bytes(four.try_into().unwrap())).collect();
    let expected: Vec<i32> = tries.iter().map(|one| one.3).collect();
    let names: Vec<&str> = tries.iter().map(|one| one.0).collect();
    assert_eq!(seen, expected, "{who}: {names:?}");
}

/// Runs `body` in a forked child, which exits with its value, and returns the wait status.
///
/// `body` must keep to what is safe after a fork of a threaded process: no allocation, no lock, no panic.
fn child(body: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs `body`, which keeps to async-signal-safe calls, and leaves by `_exit` without unwinding.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "{}", io::Error::last_os_error());
    if pid == 0 {
        // SAFETY: plain system calls; the alarm ends a child that hangs.
        unsafe {
            libc::alarm(10);
            libc::_exit(body());
        }
    }
    let mut status = 0;
    // SAFETY: `status` is written by the call; `pid` is this process's own child and is reaped once.
    let reaped = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(reaped, pid, "{}", io::Error::last_os_error());
    status
}
