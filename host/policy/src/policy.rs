//! The checked policy: a value that cannot hold nonsense.

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::path::JailPath;
use crate::promise::{Level, Promise, Strength};
use crate::{protected, system};

mod check;

pub use check::{MAX_ENTRIES, PolicyError};

/// What a root grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Reading, listing, executing.
    ReadOnly,
    /// Also creating, changing and removing.
    ReadWrite,
}

/// Why a root is there; the mount plan and the messages differ by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootKind {
    /// The person's folder that the execution works on. Exactly one.
    Workspace,
    /// Temporary files; the value of `TMPDIR`.
    Scratch,
    /// The empty home that commands get.
    Home,
    /// An unpacked skill.
    Skill,
    /// A folder of tools of the person (`~/.cargo/bin`): readable and executable.
    Tools,
    /// A further folder that the policy names.
    Extra,
}

/// One folder that code may reach, by the name that all walls use for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Canonical path; the same string in every wall.
    pub path: JailPath,
    /// What it grants.
    pub access: Access,
    /// Why it is there.
    pub kind: RootKind,
}

/// A host that may be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRule {
    /// Exact name, `*.example.com`, or an address literal; lower case, no trailing dot.
    pub host: String,
    /// Ports, never empty.
    pub ports: Vec<u16>,
}

/// Everything that one execution may do. Built by the document's `check`, or from [`Policy::workspace`].
///
/// It crosses a socket as JSON; reading it back goes through [`Policy::check`], so that a hostile or damaged text cannot
/// become a value that holds nonsense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "check::Unchecked")]
pub struct Policy {
    /// Roots; the longest path that holds a request decides.
    pub roots: Vec<Root>,
    /// Files and folders of the system that everything may read; exact paths or whole folders.
    pub system: Vec<JailPath>,
    /// Protected path patterns, relative to the workspace and to each repository in it (see `protected`).
    pub protected: Vec<String>,
    /// Hosts that may be reached; empty: network is off.
    pub hosts: Vec<HostRule>,
    /// Environment names given besides the fixed list.
    pub env: Vec<String>,
    /// Unix sockets of the host that may be reached.
    pub unix: Vec<JailPath>,
    /// Bounds.
    pub limits: Limits,
    /// The least strength asked of each promise; a promise that is not named is asked as `prevented` (see
    /// [`Policy::minimum_of`] for the one exception).
    pub minimum: Vec<(Promise, Strength)>,
}

/// Where the folders of one execution lie. All paths are canonical; nothing here is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The person's folder that the execution works on.
    pub workspace: JailPath,
    /// Temporary files: `/tmp` at full level, a folder of the execution's own elsewhere.
    pub scratch: JailPath,
    /// The empty home.
    pub home: JailPath,
    /// Unpacked skills.
    pub skills: Vec<JailPath>,
    /// Tool folders that exist (see [`crate::tools`]).
    pub tools: Vec<JailPath>,
}

impl Places {
    /// Places without skills and tools.
    #[must_use]
    pub fn new(workspace: JailPath, scratch: JailPath, home: JailPath) -> Self {
        Places { workspace, scratch, home, skills: Vec::new(), tools: Vec::new() }
    }
}

/// What the built-in policies ask of the promises that they do not ask as `prevented`.
pub const DEFAULT_MINIMUM: &[(Promise, Strength)] = &[
    (Promise::ProtectedPaths, Strength::Detected),
    (Promise::MetadataOutside, Strength::Open),
    (Promise::ProcessNames, Strength::Open),
    (Promise::Space, Strength::Open),
];

impl Policy {
    /// The built-in policy `workspace`: the workspace, scratch and home writable, skills, tools and listed system files
    /// readable, protected paths, no network, no further environment, no unix socket.
    #[must_use]
    pub fn workspace(places: &Places) -> Self {
        Policy::built_in(places, Access::ReadWrite)
    }

    /// The built-in policy `read-only`: as [`Policy::workspace`], with a workspace that only scratch lies beside.
    #[must_use]
    pub fn read_only(places: &Places) -> Self {
        Policy::built_in(places, Access::ReadOnly)
    }

    fn built_in(places: &Places, workspace: Access) -> Self {
        let root = |path: &JailPath, access, kind| Root { path: path.clone(), access, kind };
        let mut roots = vec![
            root(&places.workspace, workspace, RootKind::Workspace),
            root(&places.scratch, Access::ReadWrite, RootKind::Scratch),
            root(&places.home, Access::ReadWrite, RootKind::Home),
        ];
        let further = places.skills.iter().map(|path| root(path, Access::ReadOnly, RootKind::Skill));
        for root in further.chain(places.tools.iter().map(|path| root(path, Access::ReadOnly, RootKind::Tools))) {
            // One folder may serve twice (a tool folder that is the workspace): the first grant stands.
            if roots.iter().all(|known| known.path != root.path) {
                roots.push(root);
            }
        }
        Policy {
            roots,
            system: system::paths(),
            protected: protected::defaults(),
            hosts: Vec::new(),
            env: Vec::new(),
            unix: Vec::new(),
            limits: Limits::default(),
            minimum: DEFAULT_MINIMUM.to_vec(),
        }
    }

    /// The root with the longest path that holds `path`.
    #[must_use]
    pub fn root_of(&self, path: &JailPath) -> Option<&Root> {
        self.roots.iter().filter(|root| path.is_within(&root.path)).max_by_key(|root| root.path.depth())
    }

    /// The root that the execution works on; `None` only for a value that [`Policy::check`] would refuse.
    #[must_use]
    pub fn workspace_root(&self) -> Option<&Root> {
        self.roots.iter().find(|root| root.kind == RootKind::Workspace)
    }

    /// The least strength that this policy asks of `promise`.
    ///
    /// Where nothing is named that is `prevented`, with two exceptions: the process count of uid 0 below full level, which
    /// nothing unprivileged can bound (RLIMIT_NPROC does not bind uid 0, setrlimit(2)), and everything at `filesystem`,
    /// which a person chooses by name. Naming a promise asks for it all the same.
    #[must_use]
    pub fn minimum_of(&self, promise: Promise, level: Level, root: bool) -> Strength {
        let named = self.minimum.iter().find(|(named, _)| *named == promise);
        match named {
            Some(entry) if level == Level::Filesystem && DEFAULT_MINIMUM.contains(entry) => Strength::Open,
            Some((_, strength)) => *strength,
            None if level == Level::Filesystem => Strength::Open,
            None if promise == Promise::ProcessCount && level == Level::Base && root => Strength::Open,
            None => Strength::Prevented,
        }
    }
}
