//! The plan of a jail: a pure value, built and tested without any privilege.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stigmer_policy::{Access, JailPath, Level, Policy, RootKind};

use crate::jail::facts::{DEVICES, Entry, HostFacts, Identity};

/// Links in `/dev` that shells and tools expect.
const DEVICE_LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];
/// Bytes of `/dev/shm`: shared memory of multiprocessing libraries.
const SHM_BYTES: u64 = 256 << 20;

/// One step of building the jail's own tree. Applied in order, parents before children.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mount {
    /// A memory-backed folder.
    Tmpfs {
        /// Where.
        target: PathBuf,
        /// Bound on its content.
        bytes: u64,
        /// Permission bits of its root.
        mode: u32,
    },
    /// Part of the host's tree, by its own name.
    Bind {
        /// Canonical path on the host.
        source: PathBuf,
        /// Where it appears.
        target: PathBuf,
        /// What it grants.
        access: Access,
        /// What the trusted half saw there; anything else is refused as `root changed`.
        identity: Identity,
        /// A folder, or a single file or device.
        folder: bool,
        /// A device node: keeps working as one.
        device: bool,
    },
    /// A small file with this content.
    File {
        /// Where.
        target: PathBuf,
        /// What it holds.
        content: Vec<u8>,
    },
    /// A symbolic link.
    Link {
        /// Where.
        target: PathBuf,
        /// Its text.
        text: PathBuf,
    },
    /// The process file system of the jail's own pid namespace.
    Proc,
    /// A fresh set of pseudo-terminals.
    Ptys,
}

/// What one path grants to a process, for Landlock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRule {
    /// As the process sees it.
    pub path: PathBuf,
    /// What it grants.
    pub access: FileAccess,
    /// When it is missing: an error, or nothing to grant.
    pub required: bool,
    /// It is the jail's own instance of this path that is granted: where the jail has no tree of its own, nothing is.
    pub own: bool,
    /// What the trusted half saw there, for the person's folders; anything else is refused as `root changed`.
    pub identity: Option<Identity>,
}

/// Kinds of grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FileAccess {
    /// Read, list, execute.
    Read,
    /// Everything but making devices.
    Write,
    /// Read and write a device node.
    Device,
}

/// Everything that init needs to build a jail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Which level to build.
    pub level: Level,
    /// Ids to keep: mapped onto themselves.
    pub uid: u32,
    /// Ids to keep: mapped onto themselves.
    pub gid: u32,
    /// The tree; empty below full level.
    pub mounts: Vec<Mount>,
    /// What a command's file domain grants.
    pub files: Vec<FileRule>,
    /// The policy it was made from.
    #[serde(with = "json")]
    pub policy: Policy,
    /// The workspace.
    pub workspace: JailPath,
    /// What the trusted half saw there.
    pub workspace_identity: Identity,
    /// Files that the trusted half makes in the home below full level, before it starts init.
    pub home_files: Vec<(PathBuf, Vec<u8>)>,
}

/// Why no plan can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The policy has no workspace.
    #[error("the policy names no workspace")]
    NoWorkspace,
    /// The workspace is not a folder.
    #[error("the workspace `{0}` is not a folder")]
    NotAFolder(JailPath),
    /// The workspace's path leads through a symbolic link; only its canonical path may be used.
    #[error("the workspace `{0}` is not at its canonical path")]
    NotCanonical(JailPath),
}

impl Plan {
    /// Makes the plan of a jail for `policy` at `level`. `scratch` is the host folder that appears as scratch; without
    /// it scratch is memory, gone with the jail.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn build(
        policy: &Policy,
        level: Level,
        facts: &HostFacts,
        scratch: Option<(PathBuf, Identity)>,
    ) -> Result<Plan, PlanError> {
        let root = policy.roots.iter().find(|root| root.kind == RootKind::Workspace).ok_or(PlanError::NoWorkspace)?;
        let identity = match facts.entry(root.path.as_path()) {
            Some(Entry::Folder(canonical, identity)) if canonical == root.path.as_path() => *identity,
            Some(Entry::Folder(..)) => return Err(PlanError::NotCanonical(root.path.clone())),
            _ => return Err(PlanError::NotAFolder(root.path.clone())),
        };
        Ok(Plan {
            level,
            uid: facts.uid,
            gid: facts.gid,
            mounts: if level == Level::Full { mounts(policy, facts, scratch) } else { Vec::new() },
            files: files(policy, level, facts),
            policy: policy.clone(),
            workspace: root.path.clone(),
            workspace_identity: identity,
            home_files: Vec::new(),
        })
    }

    /// What the trusted half saw at one of the person's folders.
    pub(crate) fn identity(&self, root: &JailPath) -> Option<Identity> {
        self.files.iter().filter(|rule| rule.path == root.as_path()).find_map(|rule| rule.identity)
    }

    /// Adds a small file to the home that commands get.
    pub fn add_home_file(&mut self, home: &Path, name: &str, content: Vec<u8>) {
        let target = home.join(name);
        if self.level == Level::Full {
            // Right after the home itself, before a workspace may lie over it.
            let home = |mount: &Mount| matches!(mount, Mount::Tmpfs { target, .. } if target == home);
            let at = self.mounts.iter().position(home).map_or(self.mounts.len(), |index| index + 1);
            self.mounts.insert(at, Mount::File { target, content });
        } else {
            self.home_files.push((target, content));
        }
    }
}

fn mounts(policy: &Policy, facts: &HostFacts, scratch: Option<(PathBuf, Identity)>) -> Vec<Mount> {
    let mut out = vec![Mount::Proc];
    out.push(Mount::Tmpfs { target: "/dev".into(), bytes: 1 << 20, mode: 0o755 });
    for name in DEVICES {
        let path = Path::new("/dev").join(name);
        if let Some(Entry::File(source, identity)) = facts.entry(&path) {
            out.push(Mount::Bind {
                source: source.clone(),
                target: path,
                access: Access::ReadWrite,
                identity: *identity,
                folder: false,
                device: true,
            });
        }
    }
    out.push(Mount::Ptys);
    out.push(Mount::Tmpfs { target: "/dev/shm".into(), bytes: SHM_BYTES, mode: 0o1777 });
    for (name, text) in DEVICE_LINKS {
        out.push(Mount::Link { target: Path::new("/dev").join(name), text: text.into() });
    }
    for path in &policy.system {
        let target = path.as_path().to_owned();
        if target.starts_with("/dev") {
            continue;
        }
        match facts.entry(path.as_path()) {
            Some(Entry::Link(text)) => out.push(Mount::Link { target, text: text.clone() }),
            Some(entry) => out.push(bind(entry, target, Access::ReadOnly)),
            None => {}
        }
    }
    out.extend(own_folders(policy, scratch));
    let mut roots: Vec<_> =
        policy.roots.iter().filter(|root| !matches!(root.kind, RootKind::Scratch | RootKind::Home)).collect();
    roots.sort_by_key(|root| (root.path.depth(), root.kind == RootKind::Workspace));
    for root in roots {
        if let Some(entry @ (Entry::Folder(..) | Entry::File(..))) = facts.entry(root.path.as_path()) {
            out.push(bind(entry, root.path.as_path().to_owned(), root.access));
        }
    }
    out
}

/// Scratch and home come before every other root, so that a workspace below either lies over it.
fn own_folders(policy: &Policy, scratch: Option<(PathBuf, Identity)>) -> Vec<Mount> {
    let bytes = policy.limits.scratch_bytes;
    let mut out = Vec::new();
    for root in &policy.roots {
        let target = root.path.as_path().to_owned();
        match (root.kind, &scratch) {
            (RootKind::Scratch, Some((source, identity))) => out.push(Mount::Bind {
                source: source.clone(),
                target,
                access: Access::ReadWrite,
                identity: *identity,
                folder: true,
                device: false,
            }),
            (RootKind::Scratch, None) => out.push(Mount::Tmpfs { target, bytes, mode: 0o1777 }),
            (RootKind::Home, _) => out.push(Mount::Tmpfs { target, bytes, mode: 0o700 }),
            _ => {}
        }
    }
    out
}

fn bind(entry: &Entry, target: PathBuf, access: Access) -> Mount {
    match entry {
        Entry::Folder(source, identity) => {
            Mount::Bind { source: source.clone(), target, access, identity: *identity, folder: true, device: false }
        }
        Entry::File(source, identity) => {
            Mount::Bind { source: source.clone(), target, access, identity: *identity, folder: false, device: false }
        }
        Entry::Link(text) => Mount::Link { target, text: text.clone() },
    }
}

fn files(policy: &Policy, level: Level, facts: &HostFacts) -> Vec<FileRule> {
    let mut out = Vec::new();
    let mut seen = BTreeSet::new();
    let mut push = |path: &Path, access, required, own, identity| {
        if seen.insert((path.to_owned(), access)) {
            out.push(FileRule { path: path.to_owned(), access, required, own, identity });
        }
    };
    for path in &policy.system {
        // A link is no place of its own: what it leads to is granted by its own name, or not at all.
        let place = matches!(facts.entry(path.as_path()), Some(Entry::Folder(..) | Entry::File(..)));
        if place && !path.as_path().starts_with("/dev") {
            push(path.as_path(), FileAccess::Read, false, false, None);
        }
    }
    for root in &policy.roots {
        let access = match root.access {
            Access::ReadOnly => FileAccess::Read,
            Access::ReadWrite => FileAccess::Write,
        };
        let own = level == Level::Full && matches!(root.kind, RootKind::Scratch | RootKind::Home);
        // The jail's own instance is none that anybody could have looked at.
        let identity = facts.entry(root.path.as_path()).filter(|_| !own).and_then(Entry::identity);
        push(root.path.as_path(), access, root.kind == RootKind::Workspace, own, identity);
    }
    for name in DEVICES {
        push(&Path::new("/dev").join(name), FileAccess::Device, false, false, None);
    }
    if level == Level::Full {
        // Its own instances of these; at base they would be the host's.
        push(Path::new("/dev/pts"), FileAccess::Device, false, true, None);
        push(Path::new("/dev/shm"), FileAccess::Write, false, true, None);
        push(Path::new("/proc"), FileAccess::Read, false, false, None);
    }
    out
}

/// A policy travels as its JSON text, so that what arrives goes through the policy's own checks.
mod json {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _, ser::Error as _};
    use stigmer_policy::Policy;

    pub(super) fn serialize<S: Serializer>(policy: &Policy, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(policy).map_err(S::Error::custom)?)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Policy, D::Error> {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
