//! Other processes: looking into them, sharing memory and queues with them, the caller's own walls.

use crate::seccomp::rule::{ArgTest, COMMANDS, FULL, NOBODY, Row, Verdict, Who, row};

const SET_MODE_FILTER: u64 = libc::SECCOMP_SET_MODE_FILTER as u64;

/// seccomp(operation, flags, …): a filter can only narrow. Refused are the supervising kind (SECCOMP_FILTER_FLAG_NEW_LISTENER)
/// and operations that came later.
const SECCOMP: Who = NOBODY
    .commands(Verdict::allow_when(&[
        &[ArgTest::int(0, &[SET_MODE_FILTER]), ArgTest::new(1, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER, &[0])],
        // SET_MODE_STRICT, GET_ACTION_AVAIL, GET_NOTIF_SIZES
        &[ArgTest::int(0, &[0, 2, 3])],
    ]))
    .runner(Verdict::allow_when(&[&[ArgTest::int(0, &[SET_MODE_FILTER]), ArgTest::int(1, &[0])]]))
    .lockdown(Verdict::Always(crate::seccomp::Action::Refuse));

pub(super) const ROWS: &[Row] = &[
    row!(SYS_ptrace, NOBODY, "reads and steers another process"),
    row!(SYS_process_vm_readv, NOBODY, "reads another process's memory"),
    row!(SYS_process_vm_writev, NOBODY, "writes another process's memory"),
    row!(SYS_process_mrelease, NOBODY, "frees the memory of a dying process"),
    row!(SYS_pidfd_getfd, NOBODY, "takes a descriptor out of another process"),
    row!(SYS_kcmp, NOBODY, "compares kernel objects of two processes"),
    row!(SYS_shmget, FULL, "System V shared memory: databases; at base level it would be the host's"),
    row!(SYS_shmat, FULL, "as shmget"),
    row!(SYS_shmdt, FULL, "as shmget"),
    row!(SYS_shmctl, FULL, "as shmget"),
    row!(SYS_semget, FULL, "System V semaphores; at base level the host's"),
    row!(SYS_semop, FULL, "as semget"),
    row!(SYS_semtimedop, FULL, "as semget"),
    row!(SYS_semctl, FULL, "as semget"),
    row!(SYS_msgget, FULL, "System V queues: fakeroot; at base level the host's"),
    row!(SYS_msgsnd, FULL, "as msgget"),
    row!(SYS_msgrcv, FULL, "as msgget"),
    row!(SYS_msgctl, FULL, "as msgget"),
    row!(SYS_mq_open, FULL, "POSIX queues; at base level the host's"),
    row!(SYS_mq_unlink, FULL, "as mq_open"),
    row!(SYS_mq_timedsend, FULL, "as mq_open"),
    row!(SYS_mq_timedreceive, FULL, "as mq_open"),
    row!(SYS_mq_notify, FULL, "as mq_open"),
    row!(SYS_mq_getsetattr, FULL, "as mq_open"),
    row!(SYS_seccomp, SECCOMP, "narrows itself further; the runner once, before its lockdown"),
    row!(SYS_landlock_create_ruleset, COMMANDS, "narrows itself further: tools that sandbox their helpers"),
    row!(SYS_landlock_add_rule, COMMANDS, "the same"),
    row!(SYS_landlock_restrict_self, COMMANDS, "the same"),
];
