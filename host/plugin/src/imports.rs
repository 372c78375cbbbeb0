//! Imports, as what they mean to a person.

use serde::{Deserialize, Serialize};

/// What a group of imports lets a component do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Capability {
    /// Read and write files in granted folders.
    Files,
    /// Use sockets; always refused.
    Sockets,
    /// Talk HTTP.
    Http,
    /// See granted environment variables, arguments and standard streams.
    CommandLine,
    /// Read the time, wait.
    Clocks,
    /// Get random bytes.
    Random,
    /// Streams and errors that the others are made of.
    Streams,
    /// Something this host does not know.
    Unknown,
}

impl Capability {
    /// The meaning in a line.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Capability::Files => "reads and writes files in the folders that it is granted",
            Capability::Sockets => "can be linked against sockets; every use of one is refused",
            Capability::Http => "talks HTTP with the hosts that it is granted",
            Capability::CommandLine => "sees the environment variables that it is granted; prints",
            Capability::Clocks => "reads the time and waits",
            Capability::Random => "gets random bytes",
            Capability::Streams => "moves bytes for the others",
            Capability::Unknown => "wants something that this host does not know",
        }
    }
}

/// Imports that mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportGroup {
    /// What they let the component do.
    pub capability: Capability,
    /// The interfaces, with version.
    pub interfaces: Vec<String>,
    /// Those of `interfaces` that this host does not offer, each with what it does offer instead.
    pub missing: Vec<String>,
}

/// The version of WASI 0.2 that is offered; components built for any earlier 0.2 run too.
const WASI: (u64, u64, u64) = (0, 2, 12);

pub(crate) fn group(imports: impl Iterator<Item = String>) -> Vec<ImportGroup> {
    let mut groups: Vec<ImportGroup> = Vec::new();
    for import in imports {
        let capability = capability(&import);
        let missing = missing(&import, capability);
        let at = groups.iter().position(|group| group.capability == capability).unwrap_or_else(|| {
            groups.push(ImportGroup { capability, interfaces: Vec::new(), missing: Vec::new() });
            groups.len() - 1
        });
        groups[at].missing.extend(missing);
        groups[at].interfaces.push(import);
    }
    groups.sort_by_key(|group| group.capability);
    groups
}

fn capability(import: &str) -> Capability {
    let Some(path) = import.strip_prefix("wasi:") else { return Capability::Unknown };
    match path.split_once('/').map(|(package, _)| package) {
        Some("filesystem") => Capability::Files,
        Some("sockets") => Capability::Sockets,
        Some("http") => Capability::Http,
        Some("cli") => Capability::CommandLine,
        Some("clocks") => Capability::Clocks,
        Some("random") => Capability::Random,
        Some("io") => Capability::Streams,
        _ => Capability::Unknown,
    }
}

/// What to say of an import that is not offered: the nearest that is.
fn missing(import: &str, capability: Capability) -> Option<String> {
    if matches!(capability, Capability::Unknown | Capability::Http) {
        return Some(format!("`{import}` is not offered"));
    }
    let (path, version) = import.split_once('@').unwrap_or((import, ""));
    let mut parts = version.splitn(3, '.').map(str::parse::<u64>);
    let found = (parts.next(), parts.next(), parts.next());
    match found {
        (Some(Ok(0)), Some(Ok(2)), Some(Ok(patch))) if patch <= WASI.2 => None,
        _ => Some(format!("`{import}` is not offered; `{path}@{}.{}.{}` is", WASI.0, WASI.1, WASI.2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_by_meaning_and_names_the_nearest() {
        for (import, want, missing) in [
            ("wasi:filesystem/types@0.2.6", Capability::Files, false),
            ("wasi:filesystem/types@0.2.12", Capability::Files, false),
            ("wasi:filesystem/types@0.2.13", Capability::Files, true),
            ("wasi:filesystem/types@0.3.0", Capability::Files, true),
            ("wasi:sockets/tcp@0.2.0", Capability::Sockets, false),
            ("wasi:http/outgoing-handler@0.2.0", Capability::Http, true),
            ("wasi:nn/tensor@0.2.0", Capability::Unknown, true),
            ("acme:db/query", Capability::Unknown, true),
        ] {
            let groups = group(std::iter::once(import.to_owned()));
            assert_eq!(groups[0].capability, want, "{import}");
            assert_eq!(!groups[0].missing.is_empty(), missing, "{import}");
        }
        assert!(group(std::iter::once("wasi:io/poll@0.3.0".to_owned()))[0].missing[0].contains("wasi:io/poll@0.2.12"));
    }
}
