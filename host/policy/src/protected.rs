//! Protected paths: readable, never writable, whatever root they lie in.
//!
//! Patterns are data ([`PROTECTED`]); a policy holds them as text, since a document adds and removes some. They apply in
//! every root that holds files of the person (the workspace and further roots, not scratch or home), and there in every
//! folder: any folder may become a repository or be opened in an editor. Names are compared without regard to case and
//! Unicode form. Below `.git`, the git folders of submodules (`.git/modules/…`) and worktrees (`.git/worktrees/…`) are
//! git folders too.
//!
//! Nothing here looks at a disk. The jail walks the workspace, asks [`matches()`] of each path, and anchors what it finds.

use std::collections::BTreeSet;
use std::path::{Component, Path};

mod fold;
mod inspect;
mod list;

pub use inspect::{Finding, Harm, MAX_CONFIG, inspect};
pub use list::{Absent, FIXED, PROTECTED, Present, ProtectedRow};

pub(crate) use fold::fold;

use crate::path::{JailPath, MAX_NAME};
use crate::policy::{Policy, RootKind};

/// Most components of a pattern.
pub const MAX_DEPTH: usize = 8;

/// A path's place on the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    /// The pattern, as the policy writes it.
    pub pattern: String,
    /// The protected path itself: the one asked about, or a folder above it.
    pub path: JailPath,
    /// How it is held when it exists.
    pub present: Present,
    /// What is done when it appears.
    pub absent: Absent,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// No text.
    #[error("a pattern cannot be empty")]
    Empty,
    /// `/etc/x`, `~/x`.
    #[error("a pattern is relative")]
    Absolute,
    /// `.`, `..`, a doubled or trailing slash.
    #[error("a pattern is a clean path without `.`, `..`, doubled or trailing slashes")]
    Unclean,
    /// `*`, `?`, `[`.
    #[error("a pattern is a literal path")]
    Wildcard,
    /// `.git` itself: its content changes with every commit.
    #[error("a repository's whole folder cannot be protected, since git could not commit")]
    Repository,
    /// A NUL byte, too many components, or a component of more than [`MAX_NAME`] bytes.
    #[error("a pattern holds no NUL and at most 8 names of at most 255 bytes")]
    TooLong,
}

/// The patterns of one policy, made ready for many paths: for walks over whole workspaces.
#[derive(Debug)]
pub struct Matcher<'a> {
    policy: &'a Policy,
    wanted: Vec<Vec<String>>,
}

impl<'a> Matcher<'a> {
    /// Makes the patterns of `policy` ready.
    #[must_use]
    pub fn new(policy: &'a Policy) -> Self {
        Matcher { policy, wanted: policy.protected.iter().map(|pattern| names_of(pattern)).collect() }
    }

    /// As [`matches()`].
    #[must_use]
    pub fn matches(&self, path: &JailPath) -> Option<Protected> {
        roots_of(self.policy, path).find_map(|below| {
            let names = names(below);
            self.policy.protected.iter().zip(&self.wanted).find_map(|(pattern, wanted)| {
                if !wanted.first().is_some_and(|first| names.contains(first)) {
                    return None;
                }
                let (length, worktree) = end_of_match(&names, wanted)?;
                let mut place = path.clone();
                for _ in length..names.len() {
                    place = place.parent()?;
                }
                let present = if worktree { Present::Watch } else { Present::Anchor };
                Some(Protected { pattern: pattern.clone(), path: place, present, absent: absent(pattern) })
            })
        })
    }

    /// As [`is_anchor()`].
    #[must_use]
    pub fn is_anchor(&self, path: &JailPath) -> bool {
        if self.policy.roots.iter().any(|root| root.path.is_within(path)) {
            return true;
        }
        roots_of(self.policy, path).any(|below| {
            let names = names(below);
            let leads =
                |wanted: &Vec<String>| (1..wanted.len()).any(|length| ends_with_git_aware(&names, &wanted[..length]));
            self.wanted.iter().any(leads)
        })
    }
}

/// Whether `path` is protected by `policy`, and by which pattern.
#[must_use]
pub fn matches(policy: &Policy, path: &JailPath) -> Option<Protected> {
    Matcher::new(policy).matches(path)
}

/// Whether `path` by its name alone lies between a root and a protected path: removing or renaming it would carry a
/// protected path away, should one lie below it. True for `.git`, and for roots themselves.
///
/// A folder of any other name may still *hold* a protected path further down: whoever removes or renames a folder walks
/// it and asks [`matches()`] of what it finds, or takes [`anchors`] of a walk done before.
#[must_use]
pub fn is_anchor(policy: &Policy, path: &JailPath) -> bool {
    Matcher::new(policy).is_anchor(path)
}

/// Whether `path` names a repository (`.git`, in any case or Unicode form) whose config or hooks `policy` protects.
///
/// Writing to the name itself makes a repository or leads git to another one, with hooks of the writer's choice, so that
/// counts as writing to a protected path.
#[must_use]
pub fn is_repository(policy: &Policy, path: &JailPath) -> bool {
    roots_of(policy, path).any(|below| {
        below.file_name().is_some_and(|name| fold(name) == GIT)
            && policy.protected.iter().any(|pattern| names_of(pattern).first().is_some_and(|name| name == GIT))
    })
}

/// All folders that must not move, given the protected paths that a walk `found`: each folder from its root (left out)
/// down to the protected path (left out), parents before children, without repeats.
///
/// Binding each of them onto itself makes `mv .git x` fail with EBUSY, while writing inside goes on.
#[must_use]
pub fn anchors<'a>(policy: &Policy, found: impl IntoIterator<Item = &'a JailPath>) -> Vec<JailPath> {
    let mut folders = BTreeSet::new();
    for path in found {
        let mut next = path.parent();
        while let Some(folder) = next {
            let inside = policy.roots.iter().any(|root| folder.is_within(&root.path) && folder != root.path);
            if !inside || !folders.insert((folder.depth(), folder.clone())) {
                break;
            }
            next = folder.parent();
        }
    }
    folders.into_iter().map(|(_, folder)| folder).collect()
}

/// What becomes of a path that appears and matches `pattern`; quarantine for patterns that a document added.
#[must_use]
pub fn absent(pattern: &str) -> Absent {
    let wanted = names_of(pattern);
    PROTECTED.iter().find(|row| names_of(row.pattern) == wanted).map_or(Absent::Quarantine, |row| row.absent)
}

/// The built-in list as a policy holds it.
#[must_use]
pub fn defaults() -> Vec<String> {
    PROTECTED.iter().map(|row| row.pattern.to_owned()).collect()
}

/// Checks one pattern.
///
/// # Errors
/// [`PatternError`], one variant per mistake.
pub fn check_pattern(pattern: &str) -> Result<(), PatternError> {
    if pattern.is_empty() {
        return Err(PatternError::Empty);
    }
    if pattern.starts_with(['/', '~']) {
        return Err(PatternError::Absolute);
    }
    if pattern.contains(['*', '?', '[', ']']) {
        return Err(PatternError::Wildcard);
    }
    let mut names = pattern.split('/');
    if names.clone().count() > MAX_DEPTH || pattern.contains('\0') || names.clone().any(|name| name.len() > MAX_NAME) {
        return Err(PatternError::TooLong);
    }
    if names.any(|name| matches!(name, "" | "." | "..")) {
        return Err(PatternError::Unclean);
    }
    // A name of ignorable code points only would match every path.
    let folded = names_of(pattern);
    if folded.iter().any(String::is_empty) {
        return Err(PatternError::Unclean);
    }
    if folded == [GIT] {
        return Err(PatternError::Repository);
    }
    Ok(())
}

/// Whether two patterns are one, case and Unicode form aside.
#[must_use]
pub fn same_pattern(one: &str, other: &str) -> bool {
    names_of(one) == names_of(other)
}

const GIT: &str = ".git";

/// The parts of `path` below each root that holds files of the person.
fn roots_of<'a>(policy: &'a Policy, path: &'a JailPath) -> impl Iterator<Item = &'a Path> {
    // Scratch may lie in a further root (`/tmp` named whole); what is thrown away at the end needs no protection.
    let thrown_away = policy.root_of(path).is_some_and(|root| matches!(root.kind, RootKind::Scratch | RootKind::Home));
    policy
        .roots
        .iter()
        .filter(move |root| !thrown_away && matches!(root.kind, RootKind::Workspace | RootKind::Extra))
        .filter_map(|root| path.below(&root.path))
}

fn names(path: &Path) -> Vec<String> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(fold(name)),
            _ => None,
        })
        .collect()
}

fn names_of(pattern: &str) -> Vec<String> {
    names(Path::new(pattern))
}

/// Where `wanted` ends in `names`, at whatever depth it begins, and whether it lies in a worktree's git folder.
fn end_of_match(names: &[String], wanted: &[String]) -> Option<(usize, bool)> {
    (1..=names.len()).find(|end| ends_with_git_aware(&names[..*end], wanted)).map(|end| {
        let head = &names[..end];
        (end, !head.ends_with(wanted) && in_worktree(head))
    })
}

/// Whether `names` ends in `wanted`, where `.git` also stands for the git folder of a submodule or worktree.
fn ends_with_git_aware(names: &[String], wanted: &[String]) -> bool {
    if names.ends_with(wanted) {
        return true;
    }
    match wanted {
        [git, rest @ ..] if git == GIT && !rest.is_empty() && names.ends_with(rest) => {
            is_inner_git_folder(&names[..names.len() - rest.len()])
        }
        [git] if git == GIT => is_inner_git_folder(names),
        _ => false,
    }
}

/// `….git/worktrees/NAME`, or `….git/modules/NAME` where the name of a submodule may have slashes.
fn is_inner_git_folder(names: &[String]) -> bool {
    let Some(at) = names.iter().position(|name| name == GIT) else { return false };
    match &names[at + 1..] {
        [kind, _] if kind == "worktrees" => true,
        // A branch of a submodule may be called `config`; what lies under these is never a git folder.
        [kind, inner @ ..] if kind == "modules" => {
            !inner.is_empty() && !inner.iter().any(|name| matches!(name.as_str(), "refs" | "objects" | "logs"))
        }
        _ => false,
    }
}

fn in_worktree(names: &[String]) -> bool {
    names.windows(2).any(|pair| pair[0] == GIT && pair[1] == "worktrees")
}

#[cfg(test)]
mod tests;
