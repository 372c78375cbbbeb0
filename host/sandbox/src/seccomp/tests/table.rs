//! What each caller may and may not do, said once more, by hand, against a slip in the rows.

use super::decide;
use crate::seccomp::{Action, Caller};

/// Call, arguments, and the answer for command-full, command-base, runner, runner-lockdown:
/// `A` allowed, `E` EPERM, `N` ENOSYS.
pub(super) struct Line(
    pub(super) &'static str,
    pub(super) libc::c_long,
    pub(super) &'static [u64],
    pub(super) &'static str,
);

macro_rules! line {
    ($name:ident($($argument:expr),*) $answers:literal) => {
        $crate::seccomp::tests::table::Line(stringify!($name), libc::$name, &[$($argument as u64),*], $answers)
    };
}
pub(super) use line;

pub(super) fn check(lines: &[Line]) {
    for Line(name, number, given, answers) in lines {
        let mut arguments = [0; 6];
        arguments[..given.len()].copy_from_slice(given);
        let number = u32::try_from(*number).unwrap();
        let found: String = Caller::ALL
            .map(|caller| match decide(caller, number, arguments) {
                Action::Allow => 'A',
                Action::Refuse => 'E',
                Action::Absent => 'N',
                Action::Kill => 'K',
            })
            .into_iter()
            .collect();
        assert_eq!(&found, answers, "{name}{given:x?}");
    }
}

/// Set in a register's upper half, which the kernel drops for an `int`.
pub(super) const DIRT: u64 = 0xabcd_0000_0000_0000;

#[test]
fn ordinary_calls() {
    check(&[
        line!(SYS_read() "AAAA"),
        line!(SYS_openat() "AAAA"),
        line!(SYS_openat2() "AAAA"),
        line!(SYS_mmap() "AAAA"),
        line!(SYS_mprotect() "AAAA"),
        line!(SYS_futex() "AAAA"),
        line!(SYS_epoll_pwait() "AAAA"),
        line!(SYS_rt_sigreturn() "AAAA"),
        line!(SYS_sendmsg(3, 0, libc::MSG_NOSIGNAL) "AAAA"),
        line!(SYS_recvmsg() "AAAA"),
        line!(SYS_renameat2() "AAAA"),
        line!(SYS_getrandom() "AAAA"),
        line!(SYS_exit_group() "AAAA"),
        line!(SYS_inotify_add_watch() "AAEE"),
        line!(SYS_memfd_create() "AAEE"),
        line!(SYS_execve() "AAEE"),
        line!(SYS_wait4() "AAEE"),
        line!(SYS_kill() "AAEE"),
        line!(SYS_setsid() "AAEE"),
        line!(SYS_setpgid() "AAEE"),
        line!(SYS_pidfd_open() "AAEE"),
        line!(SYS_fchownat() "AAEE"),
        line!(SYS_fsetxattr() "AAEE"),
        line!(SYS_setuid() "AAEE"),
        line!(SYS_landlock_restrict_self() "AAEE"),
        line!(SYS_clone3() "NNNN"),
    ]);
}

#[test]
fn kernel_surface() {
    check(&[
        line!(SYS_io_uring_setup() "NNNN"),
        line!(SYS_io_uring_enter() "NNNN"),
        line!(SYS_io_uring_register() "NNNN"),
        line!(SYS_bpf() "EEEE"),
        line!(SYS_perf_event_open() "EEEE"),
        line!(SYS_userfaultfd() "EEEE"),
        line!(SYS_add_key() "EEEE"),
        line!(SYS_request_key() "EEEE"),
        line!(SYS_keyctl() "EEEE"),
        line!(SYS_mount() "EEEE"),
        line!(SYS_umount2() "EEEE"),
        line!(SYS_pivot_root() "EEEE"),
        line!(SYS_chroot() "EEEE"),
        line!(SYS_open_tree() "EEEE"),
        line!(SYS_move_mount() "EEEE"),
        line!(SYS_mount_setattr() "EEEE"),
        line!(SYS_fsopen() "EEEE"),
        line!(SYS_fsconfig() "EEEE"),
        line!(SYS_fsmount() "EEEE"),
        line!(SYS_fspick() "EEEE"),
        line!(SYS_unshare() "EEEE"),
        line!(SYS_setns() "EEEE"),
        line!(SYS_kexec_load() "EEEE"),
        line!(SYS_kexec_file_load() "EEEE"),
        line!(SYS_init_module() "EEEE"),
        line!(SYS_finit_module() "EEEE"),
        line!(SYS_delete_module() "EEEE"),
        line!(SYS_reboot() "EEEE"),
        line!(SYS_swapon() "EEEE"),
        line!(SYS_settimeofday() "EEEE"),
        line!(SYS_clock_settime() "EEEE"),
        line!(SYS_adjtimex() "EEEE"),
        line!(SYS_clock_adjtime() "EEEE"),
        line!(SYS_open_by_handle_at() "EEEE"),
        line!(SYS_name_to_handle_at() "EEEE"),
        line!(SYS_fanotify_init() "EEEE"),
        line!(SYS_quotactl() "EEEE"),
        line!(SYS_acct() "EEEE"),
        line!(SYS_syslog() "EEEE"),
        line!(SYS_vhangup() "EEEE"),
        line!(SYS_memfd_secret() "EEEE"),
    ]);
    #[cfg(target_arch = "x86_64")]
    check(&[line!(SYS_iopl() "EEEE"), line!(SYS_ioperm() "EEEE"), line!(SYS_modify_ldt() "EEEE")]);
}

#[test]
fn other_processes() {
    const SOMEBODY: u64 = 4242;
    const POINTER: u64 = 0x7fff_0000_1000;
    // A pointer whose lower half is zero is a pointer, not NULL.
    const ROUND: u64 = 0x7fff_0000_0000;
    check(&[
        line!(SYS_ptrace() "EEEE"),
        line!(SYS_process_vm_readv() "EEEE"),
        line!(SYS_process_vm_writev() "EEEE"),
        line!(SYS_pidfd_getfd() "EEEE"),
        line!(SYS_kcmp() "EEEE"),
        line!(SYS_process_madvise() "EEEE"),
        line!(SYS_process_mrelease() "EEEE"),
        line!(SYS_prlimit64(0, 7, POINTER, 0) "AAEE"),
        line!(SYS_prlimit64(0, 7, 0, POINTER) "AAAA"),
        line!(SYS_prlimit64(SOMEBODY, 7, 0, POINTER) "AAEE"),
        line!(SYS_prlimit64(SOMEBODY, 7, POINTER, 0) "EEEE"),
        line!(SYS_prlimit64(SOMEBODY, 7, ROUND, 0) "EEEE"),
        line!(SYS_prlimit64(SOMEBODY, 7, 1, 0) "EEEE"),
        line!(SYS_sched_setaffinity(0, 8, POINTER) "AAEE"),
        line!(SYS_sched_setaffinity(DIRT, 8, POINTER) "AAEE"),
        line!(SYS_sched_setaffinity(SOMEBODY, 8, POINTER) "AEEE"),
        line!(SYS_sched_setscheduler(SOMEBODY, 0, POINTER) "AEEE"),
        line!(SYS_sched_setparam(SOMEBODY, POINTER) "AEEE"),
        line!(SYS_sched_setattr(SOMEBODY, POINTER) "AEEE"),
        line!(SYS_setpriority(libc::PRIO_PROCESS, 0, 5) "AAEE"),
        line!(SYS_setpriority(libc::PRIO_PROCESS, SOMEBODY, 5) "AEEE"),
        line!(SYS_setpriority(libc::PRIO_USER, 0, 5) "AEEE"),
        line!(SYS_ioprio_set(1, 0, 0) "AAEE"),
        line!(SYS_ioprio_set(1, SOMEBODY, 0) "AEEE"),
        line!(SYS_ioprio_set(3, 0, 0) "AEEE"),
        line!(SYS_move_pages(0) "AAEE"),
        line!(SYS_move_pages(SOMEBODY) "EEEE"),
        line!(SYS_shmget() "AEEE"),
        line!(SYS_shmat() "AEEE"),
        line!(SYS_semget() "AEEE"),
        line!(SYS_msgget() "AEEE"),
        line!(SYS_mq_open() "AEEE"),
    ]);
}

#[test]
fn new_processes_and_programs() {
    const THREAD: i32 = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
    let mut lines = vec![
        line!(SYS_clone(libc::SIGCHLD) "AAEE"),
        line!(SYS_clone(libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD) "AAEE"),
        line!(SYS_clone(THREAD | libc::CLONE_SYSVSEM | libc::CLONE_SETTLS) "AAAA"),
        line!(SYS_clone(THREAD as u64 | DIRT) "AAAA"),
        line!(SYS_clone(THREAD | libc::CLONE_NEWNS) "EEEE"),
        line!(SYS_execveat(3, 0, 0, 0, libc::AT_EMPTY_PATH) "AAAE"),
        line!(SYS_execveat(3, 0, 0, 0, 0) "AAEE"),
        line!(SYS_seccomp(libc::SECCOMP_SET_MODE_FILTER, 0) "AAAE"),
        line!(SYS_seccomp(libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_TSYNC) "AAEE"),
        line!(SYS_seccomp(libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER) "EEEE"),
        line!(SYS_seccomp(libc::SECCOMP_GET_ACTION_AVAIL, 0) "AAEE"),
        line!(SYS_prctl(libc::PR_SET_NAME) "AAAA"),
        line!(SYS_prctl(libc::PR_SET_NO_NEW_PRIVS, 1) "AAAE"),
        line!(SYS_prctl(libc::PR_SET_PDEATHSIG, 0) "AAEE"),
        line!(SYS_prctl(libc::PR_SET_DUMPABLE, 1) "AAEE"),
        line!(SYS_prctl(libc::PR_SET_SECCOMP, 2) "AAEE"),
        line!(SYS_prctl(libc::PR_SET_MM) "EEEE"),
        line!(SYS_prctl(67) "EEEE"), // PR_SET_MEMORY_MERGE
        line!(SYS_personality(0) "AAEE"),
        line!(SYS_personality(0xffff_ffff_u32) "AAEE"),
        line!(SYS_personality(libc::ADDR_NO_RANDOMIZE) "AAEE"),
        line!(SYS_personality(libc::READ_IMPLIES_EXEC) "EEEE"),
        line!(SYS_personality(libc::READ_IMPLIES_EXEC as u64 | DIRT) "EEEE"),
        line!(SYS_personality(8) "EEEE"),
    ];
    #[cfg(target_arch = "x86_64")]
    lines.extend([line!(SYS_fork() "AAEE"), line!(SYS_vfork() "AAEE"), line!(SYS_arch_prctl(0x1002) "AAAA")]);
    for namespace in [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ] {
        let flags: &'static [u64] = Box::leak(Box::new([(namespace | libc::SIGCHLD) as u64 | DIRT]));
        lines.push(Line("clone in a new namespace", libc::SYS_clone, flags, "EEEE"));
    }
    check(&lines);
}

#[test]
fn files_and_terminals() {
    check(&[
        line!(SYS_mknodat(3, 0, libc::S_IFIFO | 0o600) "AAEE"),
        line!(SYS_mknodat(3, 0, libc::S_IFREG | 0o600) "AAEE"),
        line!(SYS_mknodat(3, 0, 0o600) "AAEE"),
        line!(SYS_mknodat(3, 0, libc::S_IFCHR | 0o600) "EEEE"),
        line!(SYS_mknodat(3, 0, libc::S_IFBLK | 0o600) "EEEE"),
        line!(SYS_mknodat(3, 0, libc::S_IFCHR as u64 | DIRT) "EEEE"),
        line!(SYS_ioctl(0, libc::TCGETS) "AAAA"),
        line!(SYS_ioctl(0, libc::FIONBIO) "AAAA"),
        line!(SYS_ioctl(0, libc::TIOCGWINSZ) "AAEE"),
        line!(SYS_ioctl(0, libc::TIOCSPTLCK) "AAEE"),
        line!(SYS_ioctl(0, libc::FICLONE) "AAEE"),
        line!(SYS_ioctl(0, libc::TIOCSTI) "EEEE"),
        // CVE-2017-5226's filter was passed by a dirty upper half.
        line!(SYS_ioctl(0, libc::TIOCSTI | DIRT) "EEEE"),
        line!(SYS_ioctl(0, libc::TIOCLINUX) "EEEE"),
        line!(SYS_ioctl(0, libc::TIOCLINUX | DIRT) "EEEE"),
        line!(SYS_ioctl(0, 0x5423) "EEEE"),      // TIOCSETD
        line!(SYS_ioctl(0, 0x5000_940e) "EEEE"), // BTRFS_IOC_SUBVOL_CREATE
    ]);
    #[cfg(target_arch = "x86_64")]
    check(&[line!(SYS_mknod(0, libc::S_IFCHR) "EEEE"), line!(SYS_mknod(0, libc::S_IFIFO) "AAEE")]);
}
