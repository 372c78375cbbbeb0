//! Starting, ending and asking about processes; identity; resources.

use crate::seccomp::rule::{ABSENT, ArgTest, COMMANDS, EVERYONE, FULL, NOBODY, Row, Verdict, Who, row};

/// Every CLONE_NEW* that fits in clone(2) (the time namespace shares a bit with the exit signal: clone3 only).
const NEW_NAMESPACES: u64 = 0x7e02_0000;
const _: () = assert!(
    NEW_NAMESPACES
        == (libc::CLONE_NEWNS
            | libc::CLONE_NEWCGROUP
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUSER
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWNET) as u64
);
const THREAD: u64 = (libc::CLONE_THREAD | libc::CLONE_VM) as u64;

/// clone(flags, …): the kernel reads the lower 32 bits.
const CLONE: Who = NOBODY
    .commands(Verdict::allow_when(&[&[ArgTest::new(0, NEW_NAMESPACES, &[0])]]))
    .runner(Verdict::allow_when(&[&[ArgTest::new(0, NEW_NAMESPACES | THREAD, &[THREAD])]]));

/// execveat(folder, path, argv, envp, flags): init starts the runner from a descriptor of our own executable.
const EXECVEAT: Who = COMMANDS
    .runner(Verdict::allow_when(&[&[ArgTest::int(4, &[libc::AT_EMPTY_PATH as u64])]]))
    .lockdown(Verdict::Always(crate::seccomp::Action::Refuse));

/// prlimit64(pid, resource, new, old): one's own, or only reading.
const PRLIMIT: Who = NOBODY
    .commands(Verdict::allow_when(&[&[ArgTest::int(0, &[0])], &[ArgTest::new(2, u64::MAX, &[0])]]))
    .runner(Verdict::allow_when(&[&[ArgTest::int(0, &[0]), ArgTest::new(2, u64::MAX, &[0])]]));

/// Scheduling calls that begin with a pid.
///
/// At base level a pid may be any process of the person's, so only zero (the calling thread) passes. That also refuses
/// a thread its siblings (`pthread_setaffinity_np` passes a thread id): programs that pin threads warn and go on. At
/// full level ids only name the command's own tree.
const SCHEDULING: Who = FULL.base(Verdict::allow_when(&[&[ArgTest::int(0, &[0])]]));

/// setpriority(which, who, …): PRIO_PROCESS 0 and PRIO_PGRP 1 of its own; PRIO_USER means every process of the person.
const PRIORITY: Who = FULL.base(Verdict::allow_when(&[&[ArgTest::int(0, &[0, 1]), ArgTest::int(1, &[0])]]));
/// ioprio_set(which, who, …): the same, counted from one.
const IO_PRIORITY: Who = FULL.base(Verdict::allow_when(&[&[ArgTest::int(0, &[1, 2]), ArgTest::int(1, &[0])]]));

/// personality(persona): the plain one, the question which, and no address randomisation (`setarch -R`, debuggers).
const PERSONALITY: Who =
    NOBODY.commands(Verdict::allow_when(&[&[ArgTest::int(0, &[0, 0xffff_ffff, libc::ADDR_NO_RANDOMIZE as u64])]]));

pub(super) const ROWS: &[Row] = &[
    row!(SYS_clone, CLONE, "processes and threads; the runner only threads; no new namespace"),
    row!(SYS_clone3, ABSENT, "its flags lie behind a pointer, unseen; libc falls back to clone"),
    row!(SYS_execve, COMMANDS, "runs a program; Landlock says which files"),
    row!(SYS_execveat, EXECVEAT, "the same by descriptor; the runner's own start"),
    row!(SYS_exit, EVERYONE, "ends a thread"),
    row!(SYS_exit_group, EVERYONE, "ends the process"),
    row!(SYS_wait4, COMMANDS, "waits for children"),
    row!(SYS_waitid, COMMANDS, "the same, also by pidfd"),
    row!(SYS_getpid, EVERYONE, "own id"),
    row!(SYS_getppid, EVERYONE, "parent's id"),
    row!(SYS_getpgid, COMMANDS, "process group: job control"),
    row!(SYS_setpgid, COMMANDS, "job control"),
    row!(SYS_getsid, COMMANDS, "session: job control"),
    row!(SYS_setsid, COMMANDS, "new session; the tree is ended by more than its session"),
    row!(SYS_getuid, EVERYONE, "who am I"),
    row!(SYS_geteuid, EVERYONE, "who am I"),
    row!(SYS_getgid, EVERYONE, "who am I"),
    row!(SYS_getegid, EVERYONE, "who am I"),
    row!(SYS_getresuid, COMMANDS, "who am I"),
    row!(SYS_getresgid, COMMANDS, "who am I"),
    row!(SYS_getgroups, COMMANDS, "who am I: id, git"),
    row!(SYS_setuid, COMMANDS, "programs set the id that they have; without capabilities no other"),
    row!(SYS_setgid, COMMANDS, "as setuid"),
    row!(SYS_setreuid, COMMANDS, "as setuid"),
    row!(SYS_setregid, COMMANDS, "as setuid"),
    row!(SYS_setresuid, COMMANDS, "as setuid"),
    row!(SYS_setresgid, COMMANDS, "as setuid"),
    row!(SYS_setfsuid, COMMANDS, "as setuid"),
    row!(SYS_setfsgid, COMMANDS, "as setuid"),
    row!(SYS_setgroups, COMMANDS, "programs drop groups; without capabilities the kernel says EPERM itself"),
    row!(SYS_capget, COMMANDS, "asks for capabilities; none are left"),
    row!(SYS_capset, COMMANDS, "can only give capabilities up"),
    row!(SYS_prlimit64, PRLIMIT, "own limits; others' only to read; the runner only reads its own"),
    row!(SYS_getrusage, EVERYONE, "own use of time and memory"),
    row!(SYS_times, COMMANDS, "own use of time: time, make"),
    row!(SYS_sysinfo, EVERYONE, "memory and load of the machine: node, make -l"),
    row!(SYS_uname, EVERYONE, "kernel name and machine"),
    row!(SYS_getpriority, COMMANDS, "asks for niceness"),
    row!(SYS_setpriority, PRIORITY, "nice; at base level only itself"),
    row!(SYS_ioprio_get, COMMANDS, "asks for disk priority"),
    row!(SYS_ioprio_set, IO_PRIORITY, "ionice; at base level only itself"),
    row!(SYS_sched_yield, EVERYONE, "lets others run"),
    row!(SYS_sched_getaffinity, EVERYONE, "on how many processors may I run: nproc, thread pools"),
    row!(SYS_sched_setaffinity, SCHEDULING, "taskset; at base level only the calling thread"),
    row!(SYS_sched_getparam, COMMANDS, "asks for scheduling"),
    row!(SYS_sched_getscheduler, COMMANDS, "asks for scheduling"),
    row!(SYS_sched_getattr, COMMANDS, "asks for scheduling"),
    row!(SYS_sched_get_priority_max, COMMANDS, "range of priorities: thread libraries"),
    row!(SYS_sched_get_priority_min, COMMANDS, "range of priorities"),
    row!(SYS_sched_rr_get_interval, COMMANDS, "asks for a time slice"),
    row!(SYS_sched_setparam, SCHEDULING, "chrt; at base level only the calling thread"),
    row!(SYS_sched_setscheduler, SCHEDULING, "chrt, batch jobs; at base level only the calling thread"),
    row!(SYS_sched_setattr, SCHEDULING, "the same with attributes"),
    row!(SYS_getcpu, EVERYONE, "on which processor am I"),
    row!(SYS_personality, PERSONALITY, "plain, and setarch -R; others bring back old ABIs"),
    row!(SYS_pidfd_open, COMMANDS, "waits for a child without its number; grants nothing over others"),
    row!(SYS_pidfd_send_signal, COMMANDS, "kill by pidfd, under the same checks as kill"),
    row!(SYS_kill, COMMANDS, "signals; the pid namespace or Landlock's scope keeps them in the tree"),
];
