//! Protected paths, by name and by the ways around a name.

#![expect(clippy::disallowed_methods, reason = "an act names paths: reaching them is what it tries")]

use std::path::{Path, PathBuf};

use stigmer_policy::Promise::ProtectedPaths;

use crate::probe::act::{Act, Attempt, Effect, How};
use crate::probe::scene::Scene;
use crate::probe::set::Set;

/// Repositories in the workspace, one for each act, so that what one leaves behind cannot help another.
pub(in crate::probe) const REPOSITORIES: [&str; 4] = ["by-name", "by-removal", "by-parent", "by-unmount"];

pub(super) const ACTS: &[Act] = &[
    Act {
        promise: ProtectedPaths,
        name: REPOSITORIES[0],
        sentence: "put a hook into a repository",
        how: How::Plain(by_name),
        effect: Some(|set| effect(set, REPOSITORIES[0])),
    },
    Act {
        promise: ProtectedPaths,
        name: REPOSITORIES[1],
        sentence: "replace a folder of hooks",
        how: How::Plain(by_removal),
        effect: Some(|set| effect(set, REPOSITORIES[1])),
    },
    Act {
        promise: ProtectedPaths,
        name: REPOSITORIES[2],
        sentence: "move .git away and put another in its place",
        how: How::Plain(by_parent),
        effect: Some(|set| effect(set, REPOSITORIES[2])),
    },
    Act {
        promise: ProtectedPaths,
        name: REPOSITORIES[3],
        sentence: "unmount what holds the hooks, then put one",
        how: How::Plain(by_unmount),
        effect: Some(|set| effect(set, REPOSITORIES[3])),
    },
];

const EVIL: &[u8] = b"#!/bin/sh\necho evil\n";

fn hooks(workspace: &Path, repository: &str) -> PathBuf {
    workspace.join(repository).join(".git/hooks")
}

fn effect(set: &Set, repository: &str) -> Effect {
    let hook = hooks(&set.scene.workspace, repository).join("pre-commit");
    if std::fs::read(hook).is_ok_and(|text| text == EVIL) { Effect::Seen } else { Effect::Undone }
}

fn by_name(scene: &Scene) -> Attempt {
    Ok(std::fs::write(hooks(&scene.workspace, REPOSITORIES[0]).join("pre-commit"), EVIL)?)
}

fn by_removal(scene: &Scene) -> Attempt {
    let hooks = hooks(&scene.workspace, REPOSITORIES[1]);
    std::fs::rename(&hooks, hooks.with_file_name("old"))?;
    std::fs::create_dir(&hooks)?;
    Ok(std::fs::write(hooks.join("pre-commit"), EVIL)?)
}

fn by_parent(scene: &Scene) -> Attempt {
    let repository = scene.workspace.join(REPOSITORIES[2]);
    let hooks = hooks(&scene.workspace, REPOSITORIES[2]);
    std::fs::rename(repository.join(".git"), repository.join("old"))?;
    std::fs::create_dir_all(&hooks)?;
    // What makes it a repository comes along, as `cp -r` would bring it.
    std::fs::write(repository.join(".git/HEAD"), std::fs::read(repository.join("old/HEAD"))?)?;
    Ok(std::fs::write(hooks.join("pre-commit"), EVIL)?)
}

fn by_unmount(scene: &Scene) -> Attempt {
    let hooks = hooks(&scene.workspace, REPOSITORIES[3]);
    // Refused or not (without the wall there is no mount): what counts is whether the hook can be put afterwards.
    let _ = rustix::mount::unmount(&hooks, rustix::mount::UnmountFlags::DETACH);
    Ok(std::fs::write(hooks.join("pre-commit"), EVIL)?)
}
