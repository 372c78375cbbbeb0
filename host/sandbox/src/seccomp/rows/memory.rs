//! The caller's own memory.

use crate::seccomp::rule::{ArgTest, COMMANDS, EVERYONE, NOBODY, Row, Verdict, Who, row};

/// migrate_pages(pid, …), move_pages(pid, …): zero is the caller.
const OWN_PAGES: Who = NOBODY.commands(Verdict::allow_when(&[&[ArgTest::int(0, &[0])]]));

pub(super) const ROWS: &[Row] = &[
    row!(SYS_brk, EVERYONE, "grows the heap"),
    row!(SYS_mmap, EVERYONE, "maps memory or a held file"),
    row!(SYS_munmap, EVERYONE, "gives it back"),
    row!(SYS_mremap, EVERYONE, "moves or grows a mapping"),
    row!(SYS_mprotect, EVERYONE, "changes protection; loading a plugin's code needs PROT_EXEC"),
    row!(SYS_madvise, EVERYONE, "hints and resets; wasmtime's reset of linear memory"),
    row!(SYS_msync, COMMANDS, "writes a mapping to its file: databases"),
    row!(SYS_mincore, COMMANDS, "which pages are resident"),
    row!(SYS_mlock, COMMANDS, "keeps pages out of swap, as far as RLIMIT_MEMLOCK goes: key-handling tools"),
    row!(SYS_mlock2, COMMANDS, "mlock with flags"),
    row!(SYS_munlock, COMMANDS, "undoes mlock"),
    row!(SYS_mlockall, COMMANDS, "mlock of everything"),
    row!(SYS_munlockall, COMMANDS, "undoes mlockall"),
    row!(SYS_mseal, COMMANDS, "forbids itself further changes of a mapping"),
    row!(SYS_remap_file_pages, COMMANDS, "older form of mmap"),
    row!(SYS_map_shadow_stack = 453, COMMANDS, "stack of return addresses, where libc turns the hardware check on"),
    row!(SYS_pkey_alloc, COMMANDS, "memory protection keys: node's JIT"),
    row!(SYS_pkey_free, COMMANDS, "undoes pkey_alloc"),
    row!(SYS_pkey_mprotect, COMMANDS, "mprotect with a key"),
    row!(SYS_membarrier, EVERYONE, "orders memory between its own threads; new code on aarch64"),
    row!(SYS_memfd_create, COMMANDS, "file without a name: JITs, tests; the runner is handed the ones it needs"),
    row!(SYS_mbind, COMMANDS, "memory nodes of its own pages: numeric libraries, JVM"),
    row!(SYS_get_mempolicy, COMMANDS, "asks about memory nodes"),
    row!(SYS_set_mempolicy, COMMANDS, "its own default node"),
    row!(SYS_set_mempolicy_home_node, COMMANDS, "preferred node of its own pages"),
    row!(SYS_migrate_pages, OWN_PAGES, "moves its own pages, never another process's"),
    row!(SYS_move_pages, OWN_PAGES, "the same, page by page"),
    row!(SYS_process_madvise, NOBODY, "madvise on another process"),
    row!(SYS_memfd_secret, NOBODY, "memory that the kernel itself cannot see: no tool needs it"),
    row!(SYS_userfaultfd, NOBODY, "handles page faults in user code: the standard help for kernel races"),
];
