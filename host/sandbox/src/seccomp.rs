//! The system-call filters of the jail: which kernel calls a confined process may make.
//!
//! `rows` is the list, with a reason per row; `compile` turns it into a balanced tree of BPF; `install` attaches
//! that to the calling process. What no row names is answered `ENOSYS`, as an older kernel would, so that libraries
//! fall back; what a row refuses is answered `EPERM`; a call in another ABI (32-bit, x32) ends the process, since its
//! numbers mean other calls.
//!
//! A filter sees numbers and registers, never what a pointer points at, and can be narrowed but never taken off. It
//! needs `no_new_privs`, which [`set_no_new_privs`] sets.

mod compile;
mod install;
mod rows;
mod rule;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

pub use compile::Program;
pub use install::set_no_new_privs;
pub use rule::{Action, ArgTest, Row, Verdict};

/// Who is to be filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A command in its own namespaces (mount, pid, net, ipc).
    CommandFull,
    /// A command held by Landlock and this filter alone.
    CommandBase,
    /// The runner as init starts it: may still `execveat` its own program and narrow itself.
    Runner,
    /// The runner from its first statement on: no new program, no new process, no further change of its own walls.
    /// Complete by itself, and never wider than [`Caller::Runner`].
    RunnerLockdown,
}

impl Caller {
    /// Every caller, in the order of the declaration.
    pub const ALL: [Caller; 4] = [Caller::CommandFull, Caller::CommandBase, Caller::Runner, Caller::RunnerLockdown];

    /// The name in tables and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Caller::CommandFull => "command-full",
            Caller::CommandBase => "command-base",
            Caller::Runner => "runner",
            Caller::RunnerLockdown => "runner-lockdown",
        }
    }
}

/// The compiled filter of `caller`, the same one for the life of the process.
///
/// The first call for a caller compiles it (some tens of microseconds, and it allocates). Call it **before** `fork`;
/// afterwards the child only reads.
#[must_use]
pub fn program(caller: Caller) -> &'static Program {
    static PROGRAMS: [OnceLock<Program>; Caller::ALL.len()] = [const { OnceLock::new() }; Caller::ALL.len()];
    PROGRAMS[caller as usize].get_or_init(|| compile(caller))
}

/// Compiles the filter of `caller` anew. [`program`] does it once and keeps it.
#[must_use]
pub fn compile(caller: Caller) -> Program {
    Program::compile(rows(caller))
}

/// The list that [`program`] compiles, for the reference page: each row with its verdict on `caller`.
pub fn rows(caller: Caller) -> impl Iterator<Item = (&'static Row, Verdict)> {
    rows::all().map(move |row| (row, row.verdict(caller)))
}
