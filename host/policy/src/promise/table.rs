//! The table itself, and what is computed from it.

use super::{Layer, Level, Promise, Strength};
use crate::policy::Policy;

/// One way in which a promise is held. Ways are independent: each holds alone while all its layers stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// How strongly.
    pub strength: Strength,
    /// The layers that it needs, all of them; empty when it takes no layer that could be missing.
    pub by: &'static [Layer],
    /// How, where the layers' names do not say it; empty otherwise.
    pub how: &'static str,
}

/// One promise at one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// For an ordinary user.
    pub user: &'static [Held],
    /// For uid 0.
    pub root: &'static [Held],
}

/// One row: what is promised, and what holds it at each level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromiseRow {
    /// The promise.
    pub promise: Promise,
    /// "A command cannot …", for people.
    pub sentence: &'static str,
    /// `--sandbox=wasi --level full`.
    pub full: Cell,
    /// `--sandbox=wasi --level base`.
    pub base: Cell,
    /// `--sandbox=filesystem`.
    pub filesystem: Cell,
}

impl PromiseRow {
    /// The ways in which the promise is held at `level`, as uid 0 or not; the strongest first, none when it is open.
    #[must_use]
    pub fn held(&self, level: Level, root: bool) -> &'static [Held] {
        let cell = match level {
            Level::Full => self.full,
            Level::Base => self.base,
            Level::Filesystem => self.filesystem,
        };
        if root { cell.root } else { cell.user }
    }
}

const fn by(layers: &'static [Layer]) -> Held {
    Held { strength: Strength::Prevented, by: layers, how: "" }
}

const fn always(how: &'static str) -> Held {
    Held { strength: Strength::Prevented, by: &[], how }
}

const fn detected(layers: &'static [Layer], how: &'static str) -> Held {
    Held { strength: Strength::Detected, by: layers, how }
}

const fn both(held: &'static [Held]) -> Cell {
    Cell { user: held, root: held }
}

const OPEN: Cell = both(&[]);

const NO_NEW_PRIVS: Held = always("no_new_privs, set before every program");
const BUILT_ANEW: Held = always("the environment is built from the list");
const KEPT: Held = always("every stage keeps stdin, stdout and stderr alone");
const RESTORED: Held =
    detected(&[], "compared after the command; a change is undone, what appeared is quarantined, both are reported");
const WATCHED: Held = Held {
    strength: Strength::Prevented,
    by: &[Layer::Stage, Layer::LandlockScopes],
    how: "while init or stage lives; what outlives both, killed at one moment from outside, is ended by the caller or at \
          the next start, unless it changed its environment",
};
const COUNTED: Held = Held {
    strength: Strength::Prevented,
    by: &[Layer::Rlimits],
    how: "beside what the person ran when the command's stage began; what starts or ends meanwhile moves the limit by as \
          much",
};
const WALKED: Held = detected(&[Layer::Stage], "descendants are ended one by one; one that fights back may get away");

use Layer::{
    Anchors, Capabilities, IpcNamespace, LandlockFiles, LandlockScopes, Mounts, NetNamespace, Pids, Rlimits, Scrub,
    Seccomp,
};

/// Every promise, in the order of [`Promise::ALL`].
///
/// A way counts only what *alone* refuses the forbidden act, tried plainly; where a way has two layers, each covers a
/// part of the act. Measured on Linux 6.18; the probes of `doctor` try each row.
pub const PROMISES: &[PromiseRow] = &[
    PromiseRow {
        promise: Promise::ReadOutside,
        sentence: "read files outside the roots and the listed system files",
        full: both(&[by(&[Mounts]), by(&[LandlockFiles])]),
        base: both(&[by(&[LandlockFiles])]),
        filesystem: OPEN,
    },
    PromiseRow {
        promise: Promise::WriteOutside,
        sentence: "create, change or remove files outside the roots",
        full: both(&[by(&[Mounts]), by(&[LandlockFiles])]),
        base: both(&[by(&[LandlockFiles])]),
        filesystem: OPEN,
    },
    PromiseRow {
        promise: Promise::MetadataOutside,
        sentence: "change mode, times, owner or attributes of the person's files outside",
        // Landlock does not handle them: chmod, utime and setxattr outside pass in any domain.
        full: both(&[by(&[Mounts])]),
        base: OPEN,
        filesystem: OPEN,
    },
    PromiseRow {
        promise: Promise::ProtectedPaths,
        sentence: "change a protected path",
        // Landlock cannot subtract: what grants `.git/index.lock` grants `.git/hooks`. Paths that did not exist before
        // the command have no anchor; they are found afterwards at every level.
        // A bind can be unmounted by whoever has capabilities, may call umount and stands in no Landlock domain.
        full: both(&[by(&[Anchors, Capabilities]), by(&[Anchors, LandlockFiles]), by(&[Anchors, Seccomp]), RESTORED]),
        base: both(&[RESTORED]),
        filesystem: OPEN,
    },
    PromiseRow {
        promise: Promise::Network,
        sentence: "reach a network: TCP, UDP, raw or DNS",
        // At full level the filter lets TCP through, for loopback inside the namespace.
        full: both(&[by(&[NetNamespace])]),
        base: both(&[by(&[Seccomp])]),
        filesystem: OPEN,
    },
    PromiseRow {
        promise: Promise::OddSockets,
        sentence: "reach the host by vsock, packet sockets or netlink",
        // A network namespace does not hold vsock: from a fresh one the hypervisor answers.
        full: both(&[by(&[Seccomp])]),
        base: both(&[by(&[Seccomp])]),
        filesystem: OPEN,
    },
    PromiseRow {
        promise: Promise::UnixSockets,
        sentence: "reach a unix socket of the host outside the roots, by path or abstract name",
        // Paths are out of view, and abstract names belong to the network namespace or are scoped.
        full: both(&[by(&[Mounts, NetNamespace]), by(&[Mounts, LandlockScopes])]),
        base: both(&[by(&[Seccomp])]),
        filesystem: OPEN,
    },
    PromiseRow {
        promise: Promise::Processes,
        sentence: "read another process's memory or environment, trace it, or take its descriptors",
        // Any Landlock domain refuses to trace out of itself; a user namespace has no rights over its parent's.
        full: both(&[by(&[Pids]), by(&[Capabilities]), by(&[LandlockFiles]), by(&[LandlockScopes])]),
        base: Cell {
            user: &[by(&[LandlockFiles]), by(&[LandlockScopes])],
            // A root that keeps CAP_PERFMON reads /proc/PID/environ from any domain that lets it open the file; without
            // capabilities the kernel refuses root like anyone of fewer rights than the target.
            root: &[by(&[LandlockFiles]), by(&[Capabilities])],
        },
        filesystem: OPEN,
    },
    PromiseRow {
        promise: Promise::Signals,
        sentence: "signal a process outside its own tree",
        full: both(&[by(&[Pids]), by(&[LandlockScopes])]),
        base: both(&[by(&[LandlockScopes])]),
        filesystem: OPEN,
    },
    PromiseRow {
        promise: Promise::ProcessNames,
        sentence: "see names and arguments of the host's processes",
        full: both(&[by(&[Pids])]),
        // No rule grants /proc, which would be the host's.
        base: both(&[by(&[LandlockFiles])]),
        filesystem: OPEN,
    },
    PromiseRow {
        promise: Promise::Survivors,
        sentence: "leave processes behind",
        full: both(&[by(&[Pids]), WATCHED, WALKED]),
        // Without the scope a command can signal the stage, and the stage cannot prove whom its own signal would reach.
        base: both(&[WATCHED, WALKED]),
        filesystem: both(&[WALKED]),
    },
    PromiseRow {
        promise: Promise::KernelSurface,
        sentence: "use kernel surface that no tool needs: io_uring, bpf, mount, keyctl, other ABIs",
        full: both(&[by(&[Seccomp])]),
        base: both(&[by(&[Seccomp])]),
        filesystem: OPEN,
    },
    PromiseRow {
        promise: Promise::Privileges,
        sentence: "gain rights by a setuid program or file capability",
        full: both(&[NO_NEW_PRIVS]),
        base: both(&[NO_NEW_PRIVS]),
        filesystem: both(&[NO_NEW_PRIVS]),
    },
    PromiseRow {
        promise: Promise::Environment,
        sentence: "see an environment variable that is not listed",
        full: both(&[BUILT_ANEW]),
        base: both(&[BUILT_ANEW]),
        filesystem: both(&[BUILT_ANEW]),
    },
    PromiseRow {
        promise: Promise::Descriptors,
        sentence: "use a descriptor that was open in the host",
        full: both(&[by(&[Scrub]), KEPT]),
        base: both(&[by(&[Scrub]), KEPT]),
        filesystem: both(&[by(&[Scrub]), KEPT]),
    },
    PromiseRow {
        promise: Promise::Terminal,
        sentence: "open the person's terminal, or type into it",
        // Without a session of its own: /dev/tty is out of view or refused, and the filter refuses TIOCSTI.
        full: both(&[by(&[Scrub]), by(&[Mounts, Seccomp]), by(&[LandlockFiles, Seccomp])]),
        base: Cell {
            user: &[by(&[Scrub]), by(&[LandlockFiles, Seccomp])],
            // With CAP_SYS_ADMIN, TIOCSTI works on terminals of other sessions (ioctl_tty(2)).
            root: &[by(&[Scrub, Capabilities]), by(&[Scrub, Seccomp]), by(&[LandlockFiles, Seccomp])],
        },
        filesystem: Cell { user: &[by(&[Scrub])], root: &[] },
    },
    PromiseRow {
        promise: Promise::ProcessCount,
        sentence: "have more processes than the limit",
        // RLIMIT_NPROC does not bind uid 0; pid_max does, where the pid namespace has its own (Linux 6.14).
        full: Cell { user: &[by(&[Rlimits])], root: &[by(&[Rlimits, Pids])] },
        base: Cell { user: &[COUNTED], root: &[] },
        filesystem: Cell { user: &[COUNTED], root: &[] },
    },
    PromiseRow {
        promise: Promise::Space,
        sentence: "take more memory or disk than the limit",
        // Single files and scratch are bounded; the memory of a tree and the disk under the workspace are not.
        full: OPEN,
        base: OPEN,
        filesystem: OPEN,
    },
    PromiseRow {
        promise: Promise::Ipc,
        sentence: "share System V ipc or POSIX queues with the host",
        // POSIX shared memory is a file below /dev/shm: `write-outside` speaks of it.
        full: both(&[by(&[IpcNamespace])]),
        base: both(&[by(&[Seccomp])]),
        filesystem: OPEN,
    },
];

/// The row of `promise`.
#[must_use]
pub fn row(promise: Promise) -> &'static PromiseRow {
    // Rows stand in the order of the type, which a test holds.
    &PROMISES[promise as usize]
}

/// How strongly `promise` is held at `level` with every layer in place.
#[must_use]
pub fn strength(promise: Promise, level: Level, root: bool) -> Strength {
    strength_without(promise, level, root, &[])
}

/// How strongly `promise` is held at `level`, as uid 0 or not, while the layers in `left_out` are missing.
#[must_use]
pub fn strength_without(promise: Promise, level: Level, root: bool, left_out: &[Layer]) -> Strength {
    let ways = row(promise).held(level, root).iter();
    let standing = ways.filter(|held| held.by.iter().all(|layer| !left_out.contains(layer)));
    standing.map(|held| held.strength).max().unwrap_or(Strength::Open)
}

/// A promise that is asked more strongly than it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unheld {
    /// The promise.
    pub promise: Promise,
    /// What the policy asks.
    pub needed: Strength,
    /// What is held.
    pub held: Strength,
    /// A layer that is missing here and that would hold it at this level; `None` when nothing at this level does.
    pub missing: Option<Layer>,
}

/// What `policy` asks and `level` does not hold while the layers in `left_out` are missing: the start is refused unless
/// this is empty. In the order of the table.
///
/// `filesystem` is chosen by name, so nothing is asked of it by default; what a document names is.
#[must_use]
pub fn unheld(policy: &Policy, level: Level, root: bool, left_out: &[Layer]) -> Vec<Unheld> {
    let rows = PROMISES.iter().filter_map(|row| {
        let needed = policy.minimum_of(row.promise, level, root);
        let held = strength_without(row.promise, level, root, left_out);
        let ways = row.held(level, root).iter().filter(|way| way.strength >= needed);
        let missing = ways.flat_map(|way| way.by).copied().find(|layer| left_out.contains(layer));
        (held < needed).then_some(Unheld { promise: row.promise, needed, held, missing })
    });
    rows.collect()
}

/// What `policy` asks and nothing holds when no jail of `level` can be built at all, because `layer` cannot. What that
/// layer helps to hold comes first and names it as missing; within both parts in the order of the table.
#[must_use]
pub fn unbuilt(policy: &Policy, level: Level, root: bool, layer: Option<Layer>) -> Vec<Unheld> {
    let helps = |promise| {
        let ways = row(promise).held(level, root).iter();
        layer.filter(|layer| ways.flat_map(|way| way.by).any(|by| by == layer))
    };
    let of_jail: Vec<_> = Layer::ALL.iter().copied().filter(|layer| layer.stands_at(level)).collect();
    let named = |it: Unheld| Unheld { missing: helps(it.promise), ..it };
    let mut all: Vec<_> = unheld(policy, level, root, &of_jail).into_iter().map(named).collect();
    all.sort_by_key(|it| it.missing.is_none());
    all
}

/// The rows that `level` does not hold as `prevented`: what banner, status and results say.
#[must_use]
pub fn not_prevented(level: Level, root: bool) -> Vec<&'static PromiseRow> {
    PROMISES.iter().filter(|row| strength(row.promise, level, root) != Strength::Prevented).collect()
}
