//! Calls of aarch64 that libc does not name there (numbers: asm-generic/unistd.h).

use crate::seccomp::rule::{COMMANDS, EVERYONE, Row, row};

pub(super) const ROWS: &[Row] = &[
    row!(SYS_sync_file_range = 84, COMMANDS, "the same for a part: databases"),
    row!(SYS_getrlimit = 163, EVERYONE, "own limits"),
    row!(SYS_setrlimit = 164, COMMANDS, "own limits, downwards: ulimit"),
    row!(SYS_renameat = 38, EVERYONE, "as renameat2: libc's rename"),
];
