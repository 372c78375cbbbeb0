//! The known causes. Data: a new one is a row.

use stigmer_policy::{Layer, Level};

use super::Machine;
use crate::jail::landlock::{BASE_ABI, FULL_ABI};

/// Something about a machine that keeps a level from standing.
#[derive(Debug)]
pub struct Cause {
    /// Lower case, words joined by `-`; stable.
    pub name: &'static str,
    /// What is so.
    pub sentence: &'static str,
    /// The smallest change.
    pub change: &'static str,
    /// A file that the change installs: its path and content.
    pub file: Option<(&'static str, &'static str)>,
    /// Layers that cannot be built because of it.
    pub layers: &'static [Layer],
    pub(super) applies: fn(&Machine, Level) -> bool,
}

const NAMESPACES: &[Layer] =
    &[Layer::Capabilities, Layer::Mounts, Layer::Anchors, Layer::Pids, Layer::NetNamespace, Layer::IpcNamespace];
const LANDLOCK: &[Layer] = &[Layer::LandlockFiles, Layer::LandlockScopes];

/// Landlock came with Linux 5.13; its ABI 3 with 6.2, its ABI 6 with 6.12.
const FIRST: (u32, u32) = (5, 13);
const FULL: (u32, u32) = (6, 2);
const BASE: (u32, u32) = (6, 12);

/// The profile for systems whose AppArmor lets only named programs use user namespaces. `@{exec_path}` is where the
/// program is installed for everyone; for another place the person edits that line.
const PROFILE: &str = "abi <abi/4.0>,
include <tunables/global>

profile stigmer /{usr/bin,usr/local/bin,home/*/.cargo/bin,home/*/.local/bin}/stigmer flags=(unconfined) {
  userns,
  include if exists <local/stigmer>
}
";

/// Every known cause, the likeliest first.
pub const CAUSES: &[Cause] = &[
    Cause {
        name: "apparmor-userns",
        sentence: "AppArmor lets only named programs use user namespaces \
                   (kernel.apparmor_restrict_unprivileged_userns = 1)",
        change: "install a profile that names stigmer: write it as root, then \
                 `apparmor_parser -r /etc/apparmor.d/stigmer`",
        file: Some(("/etc/apparmor.d/stigmer", PROFILE)),
        layers: NAMESPACES,
        applies: |machine, level| level == Level::Full && !machine.root && machine.apparmor_restricts == Some(true),
    },
    Cause {
        name: "userns-clone",
        sentence: "user namespaces are off for ordinary users (kernel.unprivileged_userns_clone = 0)",
        change: "as root: `sysctl -w kernel.unprivileged_userns_clone=1`; to keep it, put \
                 `kernel.unprivileged_userns_clone = 1` into /etc/sysctl.d/60-stigmer.conf",
        file: None,
        layers: NAMESPACES,
        applies: |machine, level| level == Level::Full && !machine.root && machine.userns_clone == Some(false),
    },
    Cause {
        name: "max-user-namespaces",
        sentence: "no user namespace may be made (user.max_user_namespaces = 0)",
        change: "as root: `sysctl -w user.max_user_namespaces=16384`; to keep it, put \
                 `user.max_user_namespaces = 16384` into /etc/sysctl.d/60-stigmer.conf",
        file: None,
        layers: NAMESPACES,
        applies: |machine, level| level == Level::Full && machine.max_user_namespaces == Some(0),
    },
    Cause {
        name: "no-user-namespaces",
        sentence: "the kernel has no user namespaces",
        change: "use a kernel with CONFIG_USER_NS, as every large distribution builds it",
        file: None,
        layers: NAMESPACES,
        applies: |machine, level| level == Level::Full && machine.max_user_namespaces.is_none(),
    },
    Cause {
        name: "masked-proc",
        sentence: "parts of /proc are covered, as containers do; the kernel then refuses another /proc",
        change: "start the container with an uncovered /proc (podman: `--security-opt unmask=/proc/*`, docker: \
                 `--security-opt systempaths=unconfined`), or use level base",
        file: None,
        layers: &[Layer::Pids, Layer::Mounts],
        applies: |machine, level| level == Level::Full && machine.masked_proc,
    },
    Cause {
        name: "container-filter",
        sentence: "this process is itself held by a filter of system calls, as in a container, which refuses namespaces",
        change: "start the container with a filter that allows user namespaces (docker, podman: \
                 `--security-opt seccomp=unconfined`), or use level base",
        file: None,
        layers: NAMESPACES,
        applies: |machine, level| level == Level::Full && machine.filtered,
    },
    Cause {
        name: "kernel-too-old-for-full",
        sentence: "the kernel's Landlock is too old for level full, which needs Linux 6.2",
        change: "use Linux 6.2 or later",
        file: None,
        layers: LANDLOCK,
        applies: |machine, level| level == Level::Full && machine.landlock < FULL_ABI && machine.version < FULL,
    },
    Cause {
        name: "kernel-too-old-for-base",
        sentence: "the kernel's Landlock is too old for level base, which needs Linux 6.12",
        change: "use Linux 6.12 or later, or level full, where Linux 6.2 is enough",
        file: None,
        layers: LANDLOCK,
        applies: |machine, level| level == Level::Base && machine.landlock < BASE_ABI && machine.version < BASE,
    },
    Cause {
        name: "landlock-off",
        sentence: "the kernel has Landlock, but it is not switched on",
        change: "add `landlock` to the list of security modules: the boot parameter `lsm=landlock,` and what \
                 /sys/kernel/security/lsm lists, then restart",
        file: None,
        layers: LANDLOCK,
        applies: |machine, level| {
            let enough = if level == Level::Full { FULL } else { BASE };
            machine.landlock == 0 && machine.version >= enough.max(FIRST)
        },
    },
    Cause {
        name: "no-seccomp",
        sentence: "the kernel has no filters of system calls",
        change: "use a kernel with CONFIG_SECCOMP_FILTER, as every large distribution builds it",
        file: None,
        layers: &[Layer::Seccomp],
        applies: |machine, _| !machine.seccomp,
    },
];
