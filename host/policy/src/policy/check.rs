//! The one door to a [`Policy`] that arrives from elsewhere.

use serde::Deserialize;

use super::{HostRule, Policy, Root, RootKind};
use crate::environment::{self, NameError};
use crate::host::{HostError, HostPattern};
use crate::limits::{Limits, LimitsError};
use crate::path::JailPath;
use crate::promise::{Promise, Strength};
use crate::protected::{self, PatternError};

/// Most entries of any one list of a policy.
pub const MAX_ENTRIES: usize = 1024;

/// Why a policy is nonsense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// None, or more than one.
    #[error("a policy has exactly one workspace, this one has {found}")]
    Workspaces {
        /// How many there are.
        found: usize,
    },
    /// The same folder twice.
    #[error("root `{path}` is listed twice")]
    RepeatedRoot {
        /// The folder.
        path: JailPath,
    },
    /// `/` as a root or system folder: it would hold everything.
    #[error("`/` cannot be granted")]
    Everything,
    /// A protected pattern.
    #[error("protected pattern `{pattern}` is malformed")]
    Pattern {
        /// As written.
        pattern: String,
        /// What is wrong.
        source: PatternError,
    },
    /// The list lacks a row that no document can remove.
    #[error("protected pattern `{pattern}` is missing")]
    MissingPattern {
        /// The row.
        pattern: &'static str,
    },
    /// A host.
    #[error("host `{host}` is malformed")]
    Host {
        /// As written.
        host: String,
        /// What is wrong.
        source: HostError,
    },
    /// A host without ports, or with port 0.
    #[error("host `{host}` needs ports between 1 and 65535")]
    Ports {
        /// The host.
        host: String,
    },
    /// An environment name.
    #[error("environment name `{name}` cannot be listed")]
    Env {
        /// As written.
        name: String,
        /// What is wrong.
        source: NameError,
    },
    /// A limit.
    #[error("a limit is out of range")]
    Limits(#[source] LimitsError),
    /// A promise that is asked twice.
    #[error("the minimum of `{promise}` is named twice")]
    RepeatedMinimum {
        /// The promise.
        promise: &'static str,
    },
    /// A list of more than [`MAX_ENTRIES`].
    #[error("`{list}` has {found} entries, at most 1024 are accepted")]
    TooMany {
        /// Which list.
        list: &'static str,
        /// How many there are.
        found: usize,
    },
}

/// A policy as it arrives: same shape, nothing believed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unchecked {
    roots: Vec<Root>,
    system: Vec<JailPath>,
    protected: Vec<String>,
    hosts: Vec<HostRule>,
    env: Vec<String>,
    unix: Vec<JailPath>,
    limits: Limits,
    minimum: Vec<(Promise, Strength)>,
}

impl TryFrom<Unchecked> for Policy {
    type Error = PolicyError;

    fn try_from(unchecked: Unchecked) -> Result<Self, PolicyError> {
        let Unchecked { roots, system, protected, hosts, env, unix, limits, minimum } = unchecked;
        let policy = Policy { roots, system, protected, hosts, env, unix, limits, minimum };
        policy.check()?;
        Ok(policy)
    }
}

impl Policy {
    /// Whether this value holds no nonsense. Runs on everything that is read from a document or a socket.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), PolicyError> {
        for (list, found) in [
            ("roots", self.roots.len()),
            ("system", self.system.len()),
            ("protected", self.protected.len()),
            ("hosts", self.hosts.len()),
            ("env", self.env.len()),
            ("unix", self.unix.len()),
            ("minimum", self.minimum.len()),
        ] {
            if found > MAX_ENTRIES {
                return Err(PolicyError::TooMany { list, found });
            }
        }
        self.check_roots()?;
        self.check_protected()?;
        for rule in &self.hosts {
            rule.check()?;
        }
        for name in &self.env {
            environment::check(name).map_err(|source| PolicyError::Env { name: name.clone(), source })?;
        }
        self.limits.check().map_err(PolicyError::Limits)?;
        for (at, (promise, _)) in self.minimum.iter().enumerate() {
            if self.minimum[..at].iter().any(|(earlier, _)| earlier == promise) {
                return Err(PolicyError::RepeatedMinimum { promise: promise.name() });
            }
        }
        Ok(())
    }

    fn check_roots(&self) -> Result<(), PolicyError> {
        let found = self.roots.iter().filter(|root| root.kind == RootKind::Workspace).count();
        if found != 1 {
            return Err(PolicyError::Workspaces { found });
        }
        for (at, root) in self.roots.iter().enumerate() {
            if self.roots[..at].iter().any(|earlier| earlier.path == root.path) {
                return Err(PolicyError::RepeatedRoot { path: root.path.clone() });
            }
        }
        let mut granted = self.roots.iter().map(|root| &root.path).chain(&self.system);
        if granted.any(|path| path.depth() == 0) {
            return Err(PolicyError::Everything);
        }
        Ok(())
    }

    fn check_protected(&self) -> Result<(), PolicyError> {
        for pattern in &self.protected {
            protected::check_pattern(pattern)
                .map_err(|source| PolicyError::Pattern { pattern: pattern.clone(), source })?;
        }
        for fixed in protected::FIXED {
            if !self.protected.iter().any(|pattern| protected::same_pattern(pattern, fixed)) {
                return Err(PolicyError::MissingPattern { pattern: fixed });
            }
        }
        Ok(())
    }
}

impl HostRule {
    /// Whether host and ports make sense.
    ///
    /// # Errors
    /// [`PolicyError::Host`] or [`PolicyError::Ports`].
    pub fn check(&self) -> Result<HostPattern, PolicyError> {
        let pattern =
            HostPattern::parse(&self.host).map_err(|source| PolicyError::Host { host: self.host.clone(), source })?;
        if self.ports.is_empty() || self.ports.contains(&0) || self.ports.len() > MAX_ENTRIES {
            return Err(PolicyError::Ports { host: self.host.clone() });
        }
        Ok(pattern)
    }
}
