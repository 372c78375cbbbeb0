//! Threads, signals, waiting and time of the caller itself.

use crate::seccomp::rule::{ArgTest, COMMANDS, EVERYONE, NOBODY, Row, Verdict, Who, row};

/// get_robust_list(pid, …): zero is the caller.
const OWN_LIST: Who = NOBODY.commands(Verdict::allow_when(&[&[ArgTest::int(0, &[0])]]));

/// prctl(option, …) of commands: own name, own traps, own further narrowing. Not: memory layout (PR_SET_MM), page
/// merging (tells one process what another holds), core scheduling with others.
const PRCTL_COMMAND: &[u64] = &[
    libc::PR_SET_PDEATHSIG as u64,
    libc::PR_GET_PDEATHSIG as u64,
    libc::PR_GET_DUMPABLE as u64,
    libc::PR_SET_DUMPABLE as u64,
    libc::PR_GET_KEEPCAPS as u64,
    libc::PR_SET_KEEPCAPS as u64,
    libc::PR_SET_NAME as u64,
    libc::PR_GET_NAME as u64,
    libc::PR_GET_SECCOMP as u64,
    libc::PR_SET_SECCOMP as u64,
    libc::PR_CAPBSET_READ as u64,
    libc::PR_CAPBSET_DROP as u64,
    libc::PR_GET_TSC as u64,
    libc::PR_GET_SECUREBITS as u64,
    libc::PR_SET_TIMERSLACK as u64,
    libc::PR_GET_TIMERSLACK as u64,
    libc::PR_SET_CHILD_SUBREAPER as u64,
    libc::PR_GET_CHILD_SUBREAPER as u64,
    libc::PR_SET_NO_NEW_PRIVS as u64,
    libc::PR_GET_NO_NEW_PRIVS as u64,
    libc::PR_GET_TID_ADDRESS as u64,
    libc::PR_SET_THP_DISABLE as u64,
    libc::PR_GET_THP_DISABLE as u64,
    libc::PR_CAP_AMBIENT as u64,
    libc::PR_GET_SPECULATION_CTRL as u64,
    libc::PR_SET_SPECULATION_CTRL as u64,
    libc::PR_SET_VMA as u64,
    libc::PR_SET_PTRACER as u64,
    50,          // PR_SVE_SET_VL, and below: vector length, pointer authentication, tagged pointers of aarch64
    51,          // PR_SVE_GET_VL
    54,          // PR_PAC_RESET_KEYS
    55,          // PR_SET_TAGGED_ADDR_CTRL
    56,          // PR_GET_TAGGED_ADDR_CTRL
    65,          // PR_SET_MDWE: forbids itself writable code
    66,          // PR_GET_MDWE
    0x4155_5856, // PR_GET_AUXV
];
const PRCTL_RUNNER: &[u64] = &[
    libc::PR_SET_NAME as u64,
    libc::PR_GET_NAME as u64,
    libc::PR_SET_VMA as u64,
    libc::PR_SET_NO_NEW_PRIVS as u64,
    libc::PR_GET_NO_NEW_PRIVS as u64,
];
const PRCTL_LOCKDOWN: &[u64] = &[libc::PR_SET_NAME as u64, libc::PR_GET_NAME as u64, libc::PR_SET_VMA as u64];
const PRCTL: Who = NOBODY
    .commands(Verdict::allow_when(&[&[ArgTest::int(0, PRCTL_COMMAND)]]))
    .runner(Verdict::allow_when(&[&[ArgTest::int(0, PRCTL_RUNNER)]]))
    .lockdown(Verdict::allow_when(&[&[ArgTest::int(0, PRCTL_LOCKDOWN)]]));

pub(super) const ROWS: &[Row] = &[
    row!(SYS_futex, EVERYONE, "every lock"),
    row!(SYS_futex_waitv, EVERYONE, "waits for several locks"),
    row!(SYS_futex_wake = 454, EVERYONE, "newer form of futex"),
    row!(SYS_futex_wait = 455, EVERYONE, "newer form of futex"),
    row!(SYS_futex_requeue = 456, EVERYONE, "newer form of futex"),
    row!(SYS_set_robust_list, EVERYONE, "locks that survive a dead thread: every thread's start"),
    row!(SYS_get_robust_list, OWN_LIST, "asks for its own such list"),
    row!(SYS_rseq, EVERYONE, "per-processor data: every thread's start"),
    row!(SYS_set_tid_address, EVERYONE, "every process's start"),
    row!(SYS_gettid, EVERYONE, "own thread's id"),
    row!(SYS_prctl, PRCTL, "own name and own narrowing, by option"),
    row!(SYS_rt_sigaction, EVERYONE, "handlers; wasm traps arrive as signals"),
    row!(SYS_rt_sigprocmask, EVERYONE, "blocks signals"),
    row!(SYS_rt_sigreturn, EVERYONE, "returns from a handler"),
    row!(SYS_rt_sigpending, COMMANDS, "which signals wait"),
    row!(SYS_rt_sigsuspend, COMMANDS, "waits for a signal: shells"),
    row!(SYS_rt_sigtimedwait, COMMANDS, "the same with a limit"),
    row!(SYS_rt_sigqueueinfo, COMMANDS, "signal with a value, under the same checks as kill"),
    row!(SYS_rt_tgsigqueueinfo, COMMANDS, "the same to a thread: debuggers' and profilers' own threads"),
    row!(SYS_tkill, COMMANDS, "signal to a thread, under the same checks as kill"),
    row!(SYS_tgkill, COMMANDS, "the same: raise, abort, Go's scheduler"),
    row!(SYS_sigaltstack, EVERYONE, "stack for handlers: stack overflow is caught on it"),
    row!(SYS_signalfd4, COMMANDS, "signals as a descriptor"),
    row!(SYS_restart_syscall, EVERYONE, "the kernel resumes an interrupted sleep with it"),
    row!(SYS_nanosleep, EVERYONE, "sleeps"),
    row!(SYS_clock_nanosleep, EVERYONE, "sleeps"),
    row!(SYS_clock_gettime, EVERYONE, "what time is it"),
    row!(SYS_clock_getres, EVERYONE, "how exact is the clock"),
    row!(SYS_gettimeofday, EVERYONE, "what time is it"),
    row!(SYS_getitimer, COMMANDS, "own alarm clock"),
    row!(SYS_setitimer, COMMANDS, "own alarm clock: timeout, profilers"),
    row!(SYS_timer_create, COMMANDS, "own timers: timeout, databases"),
    row!(SYS_timer_settime, COMMANDS, "own timers"),
    row!(SYS_timer_gettime, COMMANDS, "own timers"),
    row!(SYS_timer_getoverrun, COMMANDS, "own timers"),
    row!(SYS_timer_delete, COMMANDS, "own timers"),
    row!(SYS_timerfd_create, COMMANDS, "timer as a descriptor: event loops"),
    row!(SYS_timerfd_settime, COMMANDS, "the same"),
    row!(SYS_timerfd_gettime, COMMANDS, "the same"),
    row!(SYS_ppoll, EVERYONE, "waits for descriptors"),
    row!(SYS_pselect6, EVERYONE, "waits for descriptors"),
    row!(SYS_epoll_create1, EVERYONE, "waits for many descriptors: every event loop"),
    row!(SYS_epoll_ctl, EVERYONE, "the same"),
    row!(SYS_epoll_pwait, EVERYONE, "the same"),
    row!(SYS_epoll_pwait2, EVERYONE, "the same"),
    row!(SYS_eventfd2, EVERYONE, "wakes an event loop"),
    row!(SYS_getrandom, EVERYONE, "random bytes"),
];
