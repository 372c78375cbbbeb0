//! What identifies a skill: its content, not its archive.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::entry::Entry;

/// SHA-256 over the sorted list of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of entries sorted by path. Each counts as: length of its path (8 bytes, big endian), path, 1 when executable else
    /// 0, length of its content (8 bytes), content. Times, owners and other mode bits do not count.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let mut hasher = Sha256::new();
        for entry in entries {
            let path = entry.path.as_str().as_bytes();
            hasher.update((path.len() as u64).to_be_bytes());
            hasher.update(path);
            hasher.update([u8::from(entry.executable)]);
            hasher.update((entry.content.len() as u64).to_be_bytes());
            hasher.update(&entry.content);
        }
        Digest(hasher.finalize().into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::EntryPath;

    fn entry(path: &str, executable: bool, content: &str) -> Entry {
        Entry { path: EntryPath::new(path.as_bytes()).unwrap(), executable, content: content.into() }
    }

    #[test]
    fn every_part_counts_and_none_runs_into_the_next() {
        let all = [
            vec![],
            vec![entry("a", false, "b")],
            vec![entry("a", true, "b")],
            vec![entry("ab", false, "")],
            vec![entry("a", false, "bb")],
            vec![entry("a", false, ""), entry("b", false, "")],
        ];
        let digests: std::collections::HashSet<_> = all.iter().map(|entries| Digest::of(entries)).collect();
        assert_eq!(digests.len(), all.len());
        // `sha256sum` of no input.
        assert_eq!(Digest::of(&[]).to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
