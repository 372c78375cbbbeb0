//! Calls that only x86_64 has (or that libc names only there): mostly older forms of calls in the other files, with the same verdicts.

use super::files::NO_DEVICE;
use crate::seccomp::rule::{ArgTest, COMMANDS, EVERYONE, NOBODY, Row, Verdict, Who, row};

/// mknod(path, mode, device)
const MKNOD: Who = NOBODY.commands(Verdict::allow_when(&[&[ArgTest::new(1, libc::S_IFMT as u64, NO_DEVICE)]]));

/// arch_prctl(option, …): acts on the calling thread alone. ARCH_SET_FS 0x1002 is every process's start.
const ARCH_PRCTL: Who = COMMANDS.runner(Verdict::allow_when(&[&[ArgTest::int(0, &[0x1002])]]));

pub(super) const ROWS: &[Row] = &[
    row!(SYS_open, EVERYONE, "as openat"),
    row!(SYS_creat, COMMANDS, "as openat"),
    row!(SYS_stat, EVERYONE, "as newfstatat"),
    row!(SYS_lstat, EVERYONE, "as newfstatat"),
    row!(SYS_access, EVERYONE, "as faccessat; the loader's first question"),
    row!(SYS_readlink, EVERYONE, "as readlinkat"),
    row!(SYS_getdents, COMMANDS, "as getdents64"),
    row!(SYS_mkdir, EVERYONE, "as mkdirat"),
    row!(SYS_rmdir, EVERYONE, "as unlinkat"),
    row!(SYS_unlink, EVERYONE, "as unlinkat"),
    row!(SYS_rename, EVERYONE, "as renameat2"),
    row!(SYS_renameat, EVERYONE, "as renameat2"),
    row!(SYS_link, EVERYONE, "as linkat"),
    row!(SYS_symlink, EVERYONE, "as symlinkat"),
    row!(SYS_mknod, MKNOD, "as mknodat"),
    row!(SYS_chmod, EVERYONE, "as fchmodat"),
    row!(SYS_chown, COMMANDS, "as fchownat"),
    row!(SYS_lchown, COMMANDS, "as fchownat"),
    row!(SYS_utime, COMMANDS, "as utimensat"),
    row!(SYS_utimes, COMMANDS, "as utimensat"),
    row!(SYS_futimesat, COMMANDS, "as utimensat"),
    row!(SYS_dup2, EVERYONE, "as dup3"),
    row!(SYS_pipe, EVERYONE, "as pipe2"),
    row!(SYS_poll, EVERYONE, "as ppoll"),
    row!(SYS_select, EVERYONE, "as pselect6"),
    row!(SYS_epoll_create, EVERYONE, "as epoll_create1"),
    row!(SYS_epoll_wait, EVERYONE, "as epoll_pwait"),
    row!(SYS_eventfd, EVERYONE, "as eventfd2"),
    row!(SYS_signalfd, COMMANDS, "as signalfd4"),
    row!(SYS_inotify_init, COMMANDS, "as inotify_init1"),
    row!(SYS_fork, COMMANDS, "as clone"),
    row!(SYS_vfork, COMMANDS, "as clone"),
    row!(SYS_getpgrp, COMMANDS, "as getpgid"),
    row!(SYS_pause, COMMANDS, "as rt_sigsuspend"),
    row!(SYS_alarm, COMMANDS, "as setitimer"),
    row!(SYS_time, EVERYONE, "as clock_gettime"),
    row!(SYS_arch_prctl, ARCH_PRCTL, "thread-local storage; wide registers (numeric libraries)"),
    row!(SYS_modify_ldt, NOBODY, "segments for 16-bit code: old bugs, no tool"),
    row!(SYS_iopl, NOBODY, "hardware ports"),
    row!(SYS_ioperm, NOBODY, "hardware ports"),
    row!(SYS_sync_file_range, COMMANDS, "the same for a part: databases"),
    row!(SYS_getrlimit, EVERYONE, "own limits"),
    row!(SYS_setrlimit, COMMANDS, "own limits, downwards: ulimit"),
];
