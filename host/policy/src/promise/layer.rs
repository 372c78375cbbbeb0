//! Layers: the mechanisms that hold promises.

use serde::{Deserialize, Serialize};

use super::Level;

/// A mechanism that holds promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Layer {
    /// User namespace with all capabilities dropped.
    Capabilities,
    /// Mount namespace with a tree of its own.
    Mounts,
    /// Read-only anchors over protected paths.
    Anchors,
    /// Process-id namespaces.
    Pids,
    /// Network namespace.
    NetNamespace,
    /// System V and POSIX ipc namespace.
    IpcNamespace,
    /// Landlock file rules.
    LandlockFiles,
    /// Landlock scopes: signals and abstract sockets.
    LandlockScopes,
    /// System-call filter.
    Seccomp,
    /// Stage that ends the command's whole tree.
    Stage,
    /// Resource limits and pid_max.
    Rlimits,
    /// Cleared environment, closed descriptors, new session.
    Scrub,
}

impl Layer {
    /// Every layer, in the order of the type.
    pub const ALL: &'static [Layer] = &[
        Layer::Capabilities,
        Layer::Mounts,
        Layer::Anchors,
        Layer::Pids,
        Layer::NetNamespace,
        Layer::IpcNamespace,
        Layer::LandlockFiles,
        Layer::LandlockScopes,
        Layer::Seccomp,
        Layer::Stage,
        Layer::Rlimits,
        Layer::Scrub,
    ];

    /// The name in records and output: lower case, words joined by `-`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Layer::Capabilities => "capabilities",
            Layer::Mounts => "mounts",
            Layer::Anchors => "anchors",
            Layer::Pids => "pids",
            Layer::NetNamespace => "net-namespace",
            Layer::IpcNamespace => "ipc-namespace",
            Layer::LandlockFiles => "landlock-files",
            Layer::LandlockScopes => "landlock-scopes",
            Layer::Seccomp => "seccomp",
            Layer::Stage => "stage",
            Layer::Rlimits => "rlimits",
            Layer::Scrub => "scrub",
        }
    }

    /// What the layer is, in a few words for people.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Layer::Capabilities => "a user namespace of its own at full level, and no capability",
            Layer::Mounts => "a file tree of its own",
            Layer::Anchors => "read-only binds over protected paths, every folder above them fixed",
            Layer::Pids => "process ids and a /proc of its own",
            Layer::NetNamespace => "a network of its own, with nothing in it but loopback",
            Layer::IpcNamespace => "System V ipc and POSIX queues of its own",
            Layer::LandlockFiles => "Landlock rules on files",
            Layer::LandlockScopes => "Landlock scopes for signals and abstract sockets",
            Layer::Seccomp => "a list of allowed system calls",
            Layer::Stage => "a process that ends the command's whole tree",
            Layer::Rlimits => "resource limits",
            Layer::Scrub => "no inherited descriptors, a session of its own",
        }
    }

    /// Whether a jail of `level` is built with this layer.
    #[must_use]
    pub fn stands_at(self, level: Level) -> bool {
        match self {
            Layer::Mounts | Layer::Anchors | Layer::Pids | Layer::NetNamespace | Layer::IpcNamespace => {
                level == Level::Full
            }
            Layer::Capabilities | Layer::LandlockFiles | Layer::LandlockScopes | Layer::Seccomp => level >= Level::Base,
            Layer::Stage | Layer::Rlimits | Layer::Scrub => true,
        }
    }

    /// What a machine needs for it: the smallest change where it is missing.
    #[must_use]
    pub fn needs(self) -> &'static str {
        match self {
            Layer::Capabilities
            | Layer::Mounts
            | Layer::Anchors
            | Layer::Pids
            | Layer::NetNamespace
            | Layer::IpcNamespace => {
                "user namespaces that may mount: an AppArmor profile with `userns` for this program where AppArmor \
                 restricts them, `user.max_user_namespaces` above 0, in a container an unmasked /proc"
            }
            Layer::LandlockFiles => "Linux 6.2 or later with `landlock` among its security modules (`lsm=`)",
            Layer::LandlockScopes => "Linux 6.12 or later with `landlock` among its security modules (`lsm=`)",
            Layer::Seccomp => "a kernel with seccomp filters (CONFIG_SECCOMP_FILTER)",
            Layer::Stage | Layer::Rlimits | Layer::Scrub => "nothing beyond Linux 5.9",
        }
    }
}
