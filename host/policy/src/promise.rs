//! The promise table: which layer holds which promise, how strongly, at which level. Data; start-up, banner, `doctor`,
//! README and the attack suite read this one table.

use serde::{Deserialize, Serialize};

mod layer;
mod table;

pub use layer::Layer;
pub use table::{
    Cell, Held, PROMISES, PromiseRow, Unheld, not_prevented, row, strength, strength_without, unbuilt, unheld,
};

/// How much of the wall stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// `--sandbox=filesystem`: file tools and plugins only; commands are plain subprocesses.
    Filesystem,
    /// `--sandbox=wasi --level base`: Landlock and seccomp, no namespaces.
    Base,
    /// `--sandbox=wasi --level full`: namespaces, own mounts, Landlock and seccomp.
    Full,
}

impl Level {
    /// Every level, the weakest first.
    pub const ALL: &'static [Level] = &[Level::Filesystem, Level::Base, Level::Full];

    /// The name on the command line and in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Filesystem => "filesystem",
            Level::Base => "base",
            Level::Full => "full",
        }
    }
}

/// How strongly a promise is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strength {
    /// Not held; said in banner, status and results.
    Open,
    /// Undone and reported after the command.
    Detected,
    /// Cannot happen.
    Prevented,
}

impl Strength {
    /// The name in documents, records and output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Strength::Open => "open",
            Strength::Detected => "detected",
            Strength::Prevented => "prevented",
        }
    }
}

/// Something that confined code cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Promise {
    /// Read outside the roots and the listed system files.
    ReadOutside,
    /// Create, change or remove outside the roots.
    WriteOutside,
    /// Change mode, times, owner or attributes of the person's own files outside.
    MetadataOutside,
    /// Change a protected path.
    ProtectedPaths,
    /// Reach any network, TCP, UDP, raw, DNS.
    Network,
    /// Reach the host by a door beside IP: vsock, netlink, packet sockets.
    OddSockets,
    /// Reach a unix socket of the host by path or abstract name.
    UnixSockets,
    /// Read another process's memory or environment, trace it, take its descriptors.
    Processes,
    /// Signal a process outside its own tree.
    Signals,
    /// See names and arguments of host processes.
    ProcessNames,
    /// Outlive its command.
    Survivors,
    /// Reach kernel surface that no tool needs: io_uring, bpf, mount, keyctl, other ABIs.
    KernelSurface,
    /// Gain rights by a setuid program or file capability.
    Privileges,
    /// See an environment variable that was not listed.
    Environment,
    /// Use a descriptor that was open in the host.
    Descriptors,
    /// Use the person's terminal.
    Terminal,
    /// Have more processes than the limit.
    ProcessCount,
    /// Take more memory or disk than the limit.
    Space,
    /// Share System V or POSIX ipc with the host.
    Ipc,
}

impl Promise {
    /// Every promise, in the order of the type, which is the order of every list for people.
    pub const ALL: &'static [Promise] = &[
        Promise::ReadOutside,
        Promise::WriteOutside,
        Promise::MetadataOutside,
        Promise::ProtectedPaths,
        Promise::Network,
        Promise::OddSockets,
        Promise::UnixSockets,
        Promise::Processes,
        Promise::Signals,
        Promise::ProcessNames,
        Promise::Survivors,
        Promise::KernelSurface,
        Promise::Privileges,
        Promise::Environment,
        Promise::Descriptors,
        Promise::Terminal,
        Promise::ProcessCount,
        Promise::Space,
        Promise::Ipc,
    ];

    /// The name in documents, records and output: lower case, words joined by `-`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Promise::ReadOutside => "read-outside",
            Promise::WriteOutside => "write-outside",
            Promise::MetadataOutside => "metadata-outside",
            Promise::ProtectedPaths => "protected-paths",
            Promise::Network => "network",
            Promise::OddSockets => "odd-sockets",
            Promise::UnixSockets => "unix-sockets",
            Promise::Processes => "processes",
            Promise::Signals => "signals",
            Promise::ProcessNames => "process-names",
            Promise::Survivors => "survivors",
            Promise::KernelSurface => "kernel-surface",
            Promise::Privileges => "privileges",
            Promise::Environment => "environment",
            Promise::Descriptors => "descriptors",
            Promise::Terminal => "terminal",
            Promise::ProcessCount => "process-count",
            Promise::Space => "space",
            Promise::Ipc => "ipc",
        }
    }
}

#[cfg(test)]
mod tests;
