//! What ordinary git commands make below a new `.git`, told apart from what would run something.

use super::{Protected, fold};

/// What is done with a protected path that appeared and whose row says [`super::Absent::Inspect`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Harmless; it stays, protected from now on.
    Keep,
    /// It goes to quarantine, for this reason.
    Quarantine(Harm),
}

/// Why a file is not harmless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Harm {
    /// A hook that is no sample.
    #[error("git runs it as a hook")]
    Hook,
    /// A key that is not on the safe list.
    #[error("line {line}: `{key}` is not among the settings that `git init` and `git clone` make")]
    Key {
        /// Line, from 1.
        line: usize,
        /// Section and key, lower case.
        key: String,
    },
    /// A remote that git reaches by a helper program (`ext::`).
    #[error("line {line}: the remote is reached by a helper program")]
    Helper {
        /// Line, from 1.
        line: usize,
    },
    /// A line that this reader does not take, though git might.
    #[error("line {line} is not in git's plain form")]
    Form {
        /// Line, from 1.
        line: usize,
    },
    /// Not UTF-8, or longer than [`MAX_CONFIG`].
    #[error("not a plain text of at most 65536 bytes")]
    Text,
    /// A `commondir` that leads elsewhere than `git worktree add` does.
    #[error("it leads git to another repository")]
    Elsewhere,
    /// Nothing that git makes by itself.
    #[error("no git command makes it by itself")]
    Unknown,
}

/// Longest config that is looked at, in bytes.
pub const MAX_CONFIG: usize = 64 << 10;

/// Looks at one *regular file* that appeared at `path`, which matched as `found`, and holds `content`. The caller takes
/// everything that is no regular file, links first, to quarantine without asking.
#[must_use]
pub fn inspect(found: &Protected, path: &crate::JailPath, content: &[u8]) -> Finding {
    let own = path.name().map(fold).unwrap_or_default();
    let verdict = match found.pattern.as_str() {
        // Sample hooks do not run until they are renamed, which is a write to a protected path by then.
        ".git/hooks" if own.ends_with(".sample") => Ok(()),
        ".git/hooks" => Err(Harm::Hook),
        ".git/config" | ".git/config.worktree" => config(content),
        // What `git worktree add` writes; in a main repository the file has no business at all.
        ".git/commondir" if found.present == super::Present::Watch && content == b"../..\n" => Ok(()),
        ".git/commondir" => Err(Harm::Elsewhere),
        _ => Err(Harm::Unknown),
    };
    verdict.map_or_else(Finding::Quarantine, |()| Finding::Keep)
}

/// Settings of `[core]` that `git init` writes and that run nothing.
const CORE: &[&str] = &["repositoryformatversion", "filemode", "bare", "logallrefupdates", "ignorecase", "symlinks"];

/// Takes the plain form of git-config(1): one header or one `key = value` a line, no continuation lines. Stricter than
/// git, so that no text means one thing here and another there.
fn config(content: &[u8]) -> Result<(), Harm> {
    let text = std::str::from_utf8(content).map_err(|_| Harm::Text)?;
    if content.len() > MAX_CONFIG || text.contains('\0') {
        return Err(Harm::Text);
    }
    let mut section = String::new();
    for (line, text) in (1..).zip(text.lines().map(str::trim)) {
        if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        }
        if text.ends_with('\\') {
            return Err(Harm::Form { line });
        }
        if let Some(header) = text.strip_prefix('[') {
            section = section_of(header).ok_or(Harm::Form { line })?;
            continue;
        }
        let (key, value) = text.split_once('=').map_or((text, ""), |(key, value)| (key.trim(), value.trim()));
        let key = key.to_ascii_lowercase();
        if section.is_empty() || !is_word(&key) {
            return Err(Harm::Form { line });
        }
        let safe = match section.as_str() {
            "core" => CORE.contains(&key.as_str()),
            "user" | "branch" => true,
            "remote" => matches!(key.as_str(), "url" | "fetch"),
            _ => false,
        };
        if !safe {
            return Err(Harm::Key { line, key: format!("{section}.{key}") });
        }
        if section == "remote" && key == "url" && value.contains("::") {
            return Err(Harm::Helper { line });
        }
    }
    Ok(())
}

/// The section's name in `name]` or `name "sub"]`, lower case; the older `name.sub` is not taken.
fn section_of(header: &str) -> Option<String> {
    let inner = header.strip_suffix(']')?;
    let (name, sub) = inner.split_once(' ').map_or((inner, None), |(name, sub)| (name, Some(sub.trim())));
    let sub_is_plain = sub.is_none_or(|sub| {
        let inside = sub.strip_prefix('"').and_then(|sub| sub.strip_suffix('"'));
        inside.is_some_and(|sub| !sub.contains(['"', '\\', ']']))
    });
    (is_word(name) && sub_is_plain).then(|| name.to_ascii_lowercase())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::JailPath;
    use crate::policy::{Places, Policy};

    fn look(text: &str, content: &str) -> Finding {
        let path = |text: &str| JailPath::absolute(text).unwrap();
        let policy = Policy::workspace(&Places::new(path("/w"), path("/tmp"), path("/h")));
        let found = super::super::matches(&policy, &path(text)).unwrap();
        assert_eq!(found.absent, super::super::Absent::Inspect, "{text}");
        inspect(&found, &path(text), content.as_bytes())
    }

    #[test]
    fn what_git_makes_stays() {
        let config = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogAllRefUpdates = true\n\
            # note\n[remote \"origin\"]\n\turl = https://example.com/a.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n\
            [branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n[user]\n\tname = Ada\n";
        for (path, content) in [
            ("/w/s/.git/config", config),
            ("/w/s/.git/config", ""),
            ("/w/s/.git/hooks/pre-commit.sample", "#!/bin/sh\n"),
            ("/w/.git/worktrees/t/commondir", "../..\n"),
            ("/w/.git/modules/lib/config", config),
        ] {
            assert_eq!(look(path, content), Finding::Keep, "{path}");
        }
    }

    #[test]
    fn what_would_run_something_goes() {
        let key = |line, key: &str| Harm::Key { line, key: key.into() };
        for (path, content, want) in [
            ("/w/s/.git/hooks/pre-commit", "", Harm::Hook),
            ("/w/s/.git/hooks", "", Harm::Hook),
            ("/w/s/.git/commondir", "../..\n", Harm::Elsewhere),
            ("/w/.git/worktrees/t/commondir", "../../evil\n", Harm::Elsewhere),
            ("/w/s/.git/config", "[core]\nfsmonitor = ./x", key(2, "core.fsmonitor")),
            ("/w/s/.git/config", "[CORE]\nFsMonitor", key(2, "core.fsmonitor")),
            ("/w/s/.git/config", "[core]\nhooksPath=h", key(2, "core.hookspath")),
            ("/w/s/.git/config", "[alias]\nx = !sh", key(2, "alias.x")),
            ("/w/s/.git/config", "[filter \"a\"]\nclean = sh", key(2, "filter.clean")),
            ("/w/s/.git/config", "[include]\npath = ../x", key(2, "include.path")),
            ("/w/s/.git/config", "[remote \"o\"]\nuploadpack = sh", key(2, "remote.uploadpack")),
            ("/w/s/.git/config", "[remote \"o\"]\nurl = ext::sh -c x", Harm::Helper { line: 2 }),
            // Forms that git takes and this reader does not: a key beside its header, continuation, older subsections.
            ("/w/s/.git/config", "[core] fsmonitor = x", Harm::Form { line: 1 }),
            ("/w/s/.git/config", "[user]\nname = a\\\n[core]\nbare = false", Harm::Form { line: 2 }),
            ("/w/s/.git/config", "[core.x]\nbare = false", Harm::Form { line: 1 }),
            ("/w/s/.git/config", "[user \"a]\nname = b", Harm::Form { line: 1 }),
            ("/w/s/.git/config", "bare = false", Harm::Form { line: 1 }),
            ("/w/s/.git/config", "\u{feff}[core]\nbare = false", Harm::Form { line: 1 }),
            ("/w/s/.git/config", "[user]\nname = a\0", Harm::Text),
        ] {
            assert_eq!(look(path, content), Finding::Quarantine(want), "{path} {content:?}");
        }
        assert_eq!(look("/w/s/.git/config", &"#".repeat(MAX_CONFIG + 1)), Finding::Quarantine(Harm::Text));
        assert_eq!(look("/w/s/.git/config", &"#".repeat(MAX_CONFIG)), Finding::Keep);
    }
}
