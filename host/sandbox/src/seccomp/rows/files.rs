//! Files, folders and descriptors. What a path may name is decided by mounts and Landlock; these calls only ask.

use crate::seccomp::rule::{ArgTest, COMMANDS, EVERYONE, NOBODY, Row, Verdict, Who, row};

/// Type bits of a file mode that make no device: none (a regular file), regular, FIFO, socket (inode(7)).
pub(super) const NO_DEVICE: &[u64] = &[0, libc::S_IFREG as u64, libc::S_IFIFO as u64, libc::S_IFSOCK as u64];

/// mknodat(folder, path, mode, device)
const MKNODAT: Who = NOBODY.commands(Verdict::allow_when(&[&[ArgTest::new(2, libc::S_IFMT as u64, NO_DEVICE)]]));

/// ioctl(descriptor, request, …): what a command may not ask of a descriptor, whichever it holds.
const IOCTL_REFUSED: &[u64] = &[
    0x5412,      // TIOCSTI: types into the terminal, as if the person had
    0x541c,      // TIOCLINUX: pastes into the console
    0x5423,      // TIOCSETD: loads a line discipline, for years the way into the kernel from a pty
    0x5000_9401, // BTRFS_IOC_SNAP_CREATE, and below: make and remove folders through a descriptor that may only read,
    0x5000_940e, // BTRFS_IOC_SUBVOL_CREATE         and ask no security module
    0x5000_940f, // BTRFS_IOC_SNAP_DESTROY
    0x5000_9417, // BTRFS_IOC_SNAP_CREATE_V2
    0x5000_9418, // BTRFS_IOC_SUBVOL_CREATE_V2
    0x5000_943f, // BTRFS_IOC_SNAP_DESTROY_V2
];
/// The runner's descriptors are files, pipes and sockets.
const IOCTL_RUNNER: &[u64] = &[
    0x5401, // TCGETS: "is it a terminal?"
    0x5421, // FIONBIO: non-blocking
    0x5451, // FIOCLEX: close on exec
];
const IOCTL: Who = NOBODY
    .commands(Verdict::refuse_when(&[&[ArgTest::int(1, IOCTL_REFUSED)]]))
    .runner(Verdict::allow_when(&[&[ArgTest::int(1, IOCTL_RUNNER)]]));

/// Sorted by what they do.
pub(super) const ROWS: &[Row] = &[
    row!(SYS_openat, EVERYONE, "opens a file; mounts and Landlock say which"),
    row!(SYS_openat2, EVERYONE, "openat that can be held below a folder: the file tools' only way in"),
    row!(SYS_close, EVERYONE, "lets go of a descriptor"),
    row!(SYS_close_range, EVERYONE, "close, for many"),
    row!(SYS_read, EVERYONE, "reads from a descriptor that it holds"),
    row!(SYS_readv, EVERYONE, "read into several buffers"),
    row!(SYS_pread64, EVERYONE, "read at an offset"),
    row!(SYS_preadv, EVERYONE, "readv at an offset"),
    row!(SYS_preadv2, EVERYONE, "preadv with flags"),
    row!(SYS_write, EVERYONE, "writes to a descriptor that it holds"),
    row!(SYS_writev, EVERYONE, "write from several buffers"),
    row!(SYS_pwrite64, EVERYONE, "write at an offset"),
    row!(SYS_pwritev, EVERYONE, "writev at an offset"),
    row!(SYS_pwritev2, EVERYONE, "pwritev with flags"),
    row!(SYS_lseek, EVERYONE, "moves the offset"),
    row!(SYS_fstat, EVERYONE, "what a descriptor is"),
    row!(SYS_newfstatat, EVERYONE, "what a path is"),
    row!(SYS_statx, EVERYONE, "what a path is, in full"),
    row!(SYS_statfs, EVERYONE, "free space by path: df, installers"),
    row!(SYS_fstatfs, EVERYONE, "free space by descriptor"),
    row!(SYS_faccessat, EVERYONE, "may this path be read, written, run"),
    row!(SYS_faccessat2, EVERYONE, "faccessat with flags"),
    row!(SYS_readlinkat, EVERYONE, "where a link points"),
    row!(SYS_getdents64, EVERYONE, "lists a folder"),
    row!(SYS_getcwd, EVERYONE, "the current folder's name; panics print it"),
    row!(SYS_chdir, COMMANDS, "changes the current folder: every shell"),
    row!(SYS_fchdir, COMMANDS, "chdir by descriptor: find, rm -r"),
    row!(SYS_mkdirat, EVERYONE, "makes a folder"),
    row!(SYS_unlinkat, EVERYONE, "removes a file or folder"),
    row!(SYS_renameat2, EVERYONE, "renames: every atomic write"),
    row!(SYS_linkat, EVERYONE, "hard link: git, cargo"),
    row!(SYS_symlinkat, EVERYONE, "makes a symbolic link"),
    row!(SYS_mknodat, MKNODAT, "FIFOs (make's job server), never a device"),
    row!(SYS_fchmod, EVERYONE, "changes a mode: scripts made executable"),
    row!(SYS_fchmodat, EVERYONE, "fchmod by path"),
    row!(SYS_fchmodat2 = 452, EVERYONE, "fchmodat with flags"),
    row!(SYS_fchown, COMMANDS, "tar, cp -p; without capabilities only what the owner may"),
    row!(SYS_fchownat, COMMANDS, "fchown by path"),
    row!(SYS_utimensat, EVERYONE, "sets times: touch, make, cp -p"),
    row!(SYS_umask, EVERYONE, "default mode of its own new files"),
    row!(SYS_truncate, COMMANDS, "cuts a file by path"),
    row!(SYS_ftruncate, EVERYONE, "cuts a file"),
    row!(SYS_fallocate, EVERYONE, "reserves space: linkers, databases"),
    row!(SYS_copy_file_range, EVERYONE, "copies in the kernel between two held descriptors: cp"),
    row!(SYS_sendfile, EVERYONE, "the same towards a pipe or socket"),
    row!(SYS_splice, COMMANDS, "moves pipe buffers: cat, pv"),
    row!(SYS_tee, COMMANDS, "copies pipe buffers"),
    row!(SYS_vmsplice, COMMANDS, "its own memory into a pipe: some cat and yes"),
    row!(SYS_fadvise64, EVERYONE, "hint about reading order"),
    row!(SYS_readahead, COMMANDS, "hint that a file will be read"),
    row!(SYS_fsync, EVERYONE, "waits until a file is on disk"),
    row!(SYS_fdatasync, EVERYONE, "the same for its content"),
    row!(SYS_syncfs, COMMANDS, "waits for one file system: package managers"),
    row!(SYS_sync, COMMANDS, "waits for all; scripts call it, and it changes nothing"),
    row!(SYS_flock, EVERYONE, "locks a file: cargo, sqlite, apt"),
    row!(SYS_fcntl, EVERYONE, "flags, locks and copies of its own descriptors"),
    row!(SYS_dup, EVERYONE, "copies a descriptor"),
    row!(SYS_dup3, EVERYONE, "copies a descriptor to a number"),
    row!(SYS_pipe2, EVERYONE, "makes a pipe"),
    row!(SYS_ioctl, IOCTL, "terminals, reflinks; no typing for the person, line discipline, subvolume"),
    row!(SYS_getxattr, COMMANDS, "extended attributes: cp -a, tar, ls"),
    row!(SYS_lgetxattr, COMMANDS, "getxattr of a link itself"),
    row!(SYS_fgetxattr, COMMANDS, "getxattr by descriptor"),
    row!(SYS_listxattr, COMMANDS, "names of extended attributes"),
    row!(SYS_llistxattr, COMMANDS, "listxattr of a link itself"),
    row!(SYS_flistxattr, COMMANDS, "listxattr by descriptor"),
    row!(SYS_setxattr, COMMANDS, "sets an extended attribute; open outside the roots at base level"),
    row!(SYS_lsetxattr, COMMANDS, "setxattr of a link itself"),
    row!(SYS_fsetxattr, COMMANDS, "setxattr by descriptor"),
    row!(SYS_removexattr, COMMANDS, "removes an extended attribute"),
    row!(SYS_lremovexattr, COMMANDS, "removexattr of a link itself"),
    row!(SYS_fremovexattr, COMMANDS, "removexattr by descriptor"),
    row!(SYS_inotify_init1, COMMANDS, "watches files that it may read: dev servers, test runners"),
    row!(SYS_inotify_add_watch, COMMANDS, "adds a path to a watch"),
    row!(SYS_inotify_rm_watch, COMMANDS, "removes one"),
];
