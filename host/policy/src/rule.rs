//! The names that decisions carry.

use serde::{Deserialize, Serialize};

/// The rule that made a decision. Its name is stable: it stands in results, events and audit rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// Reading or writing inside a root that grants it.
    Roots,
    /// Neither in a root nor in the listed system files.
    OutsideRoots,
    /// A path on the protected list, or a folder whose removal or rename would carry one away.
    ProtectedPaths,
    /// Writing into a root that is granted for reading only.
    ReadOnlyRoot,
    /// The listed system files, readable by everything.
    SystemFiles,
    /// Network is off.
    NetworkOff,
    /// A listed host, port and method.
    Hosts,
    /// The host, its port or the method is not on the list.
    HostNotListed,
    /// The name leads to a private, loopback, link-local or metadata address that is not listed itself.
    PrivateAddress,
    /// An environment name that is always given or was listed.
    Environment,
    /// An environment name that is not listed.
    EnvironmentNotListed,
    /// A unix socket that is listed.
    UnixSockets,
    /// A unix socket that is not listed.
    UnixSocketNotListed,
    /// No rule speaks of it.
    DefaultDeny,
}

impl Rule {
    /// Every rule, in the order of the type.
    pub const ALL: &'static [Rule] = &[
        Rule::Roots,
        Rule::OutsideRoots,
        Rule::ProtectedPaths,
        Rule::ReadOnlyRoot,
        Rule::SystemFiles,
        Rule::NetworkOff,
        Rule::Hosts,
        Rule::HostNotListed,
        Rule::PrivateAddress,
        Rule::Environment,
        Rule::EnvironmentNotListed,
        Rule::UnixSockets,
        Rule::UnixSocketNotListed,
        Rule::DefaultDeny,
    ];

    /// The name as it stands in results, events and audit rows: lower case, words joined by `-`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Rule::Roots => "roots",
            Rule::OutsideRoots => "outside-roots",
            Rule::ProtectedPaths => "protected-paths",
            Rule::ReadOnlyRoot => "read-only-root",
            Rule::SystemFiles => "system-files",
            Rule::NetworkOff => "network-off",
            Rule::Hosts => "hosts",
            Rule::HostNotListed => "host-not-listed",
            Rule::PrivateAddress => "private-address",
            Rule::Environment => "environment",
            Rule::EnvironmentNotListed => "environment-not-listed",
            Rule::UnixSockets => "unix-sockets",
            Rule::UnixSocketNotListed => "unix-socket-not-listed",
            Rule::DefaultDeny => "default-deny",
        }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_match_what_serde_writes() {
        let mut names: Vec<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            let value = toml::Value::try_from(rule).unwrap();
            assert_eq!(value.as_str(), Some(rule.name()));
        }
    }
}
