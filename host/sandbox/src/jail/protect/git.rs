//! Git folders that are not called `.git`, and what leads git to them.
//!
//! Git takes any folder with a `HEAD` and its stores for a repository, config and hooks included: a bare one as soon as
//! somebody works in it, any other through a `.git` that is a link or a file (gitrepository-layout(5)).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path};

use rustix::fs::FileType;
use stigmer_policy::protected::{Absent, Matcher, Present, Protected, absent};
use stigmer_policy::{JailPath, Policy};

use super::place::Place;
use super::walk::MAX_DEPTH;

/// The name that git looks for in every folder; as a pattern it stands for a link or file of that name.
pub(super) const NAME: &str = ".git";

/// What of `names`, which stand in `folder`, git would run something by, if it takes `folder` for a git folder.
pub(super) fn in_git_folder(policy: &Policy, folder: &JailPath, names: &BTreeSet<OsString>) -> Vec<Protected> {
    let has = |name: &str| names.contains(std::ffi::OsStr::new(name));
    if !(has("HEAD") && (has("commondir") || (has("objects") && has("refs")))) {
        return Vec::new();
    }
    let below = policy.protected.iter().filter_map(|pattern| Some((pattern, pattern.strip_prefix(".git/")?)));
    let here = below.filter(|(_, name)| has(name)).filter_map(|(pattern, name)| {
        let path = folder.join(Path::new(name)).ok()?;
        Some(Protected { pattern: pattern.clone(), path, present: Present::Anchor, absent: absent(pattern) })
    });
    here.collect()
}

/// A `.git` that is no folder, if the policy protects repositories at all.
pub(super) fn pointer(policy: &Policy, path: &JailPath, kind: FileType) -> Option<Protected> {
    let named = path.name().is_some_and(|name| name == NAME);
    if !named || kind == FileType::Directory || !policy.protected.iter().any(|pattern| pattern.starts_with(".git/")) {
        return None;
    }
    Some(Protected {
        pattern: NAME.to_owned(),
        path: path.clone(),
        present: Present::Watch,
        // `git worktree add` and `git submodule add` make such files, nothing makes links.
        absent: Absent::Inspect,
    })
}

/// Whether the `.git` file at `path` leads to a folder of the same root in which repositories are looked for.
pub(super) fn leads_to_a_searched_folder(place: &Place<'_>, path: &JailPath, content: &[u8]) -> bool {
    let Some(target) = target(path, content) else { return false };
    let Some(below) = target.below(place.root()) else { return false };
    let searched =
        below.components().count() <= MAX_DEPTH && !below.components().any(|part| part.as_os_str() == "objects");
    // Opened without following a link anywhere: what was searched is what git will find.
    searched && place.stat(&target).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_dir())
}

fn target(path: &JailPath, content: &[u8]) -> Option<JailPath> {
    let text = std::str::from_utf8(content).ok()?.strip_prefix("gitdir: ")?;
    let text = Path::new(text.strip_suffix('\n').unwrap_or(text));
    // `a/..` is not where it began, if `a` is a link.
    let mut parts = text.components().skip_while(|part| !matches!(part, Component::Normal(_)));
    if parts.any(|part| part == Component::ParentDir) {
        return None;
    }
    JailPath::from_base(&path.parent()?, text).ok()
}

/// Whether `matcher` knows this path by the name of a folder above it, so that it needs no second entry.
pub(super) fn is_known(matcher: &Matcher<'_>, found: &Protected) -> bool {
    matcher.matches(&found.path).is_some()
}
