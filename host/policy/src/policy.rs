//! The checked policy: a value that cannot hold nonsense.

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::path::JailPath;
use crate::promise::{Promise, Strength};

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The least strength asked of each promise; a promise that is not named is asked as `prevented`.
    pub minimum: Vec<(Promise, Strength)>,
}
