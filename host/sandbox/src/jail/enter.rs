//! Entering the jail: init's own steps, in the order that the kernel demands.

use std::path::Path;
use stigmer_policy::Layer;

use crate::failure::Step;
use crate::jail::layers::Layers;
use crate::jail::plan::Plan;
use crate::jail::protect::Protect;
use crate::jail::{landlock, mounts};
use crate::message::SetupFailure;

/// Moves init into the jail. At full level it runs as the first process of its own pid namespace and can afterwards
/// name nothing of the host's tree; at base it only gives up signalling the person's processes; at `filesystem` it
/// changes nothing.
///
/// Gives what protects the person's folders from now on. The order is the argument. Mounts come first, while the old tree and its whole `/proc` are in view. Anchors come
/// after the workspace they lie in is in its place. Landlock comes last, and only where nothing is mounted later: in a
/// domain that handles any right on files mount(2) is refused, and commands still need a `/proc` of their own; in one that
/// handles none nobody can move a file to another folder. Init's own pid namespace is what holds its signals then.
///
/// # Errors
/// The step, its subject and the layer that could not be built.
pub(crate) fn enter<'a>(plan: &'a Plan, layers: &Layers) -> Result<Protect<'a>, SetupFailure> {
    if layers.has(Layer::Mounts) {
        mounts::replace_tree(&plan.mounts, layers.has(Layer::Pids))?;
    } else if layers.has(Layer::Pids) {
        // Init itself reads /proc by its own ids.
        mounts::own_proc().step_on(Layer::Pids, "mount", Path::new("/proc"))?;
    }
    check_workspace(plan)?;
    let protect = Protect::start(plan, layers)?;
    if !layers.needs_namespaces()
        && let Some(domain) = landlock::scopes(layers)?
    {
        rustix::thread::set_no_new_privs(true).step(Layer::LandlockScopes, "give up gaining rights")?;
        landlock::enter(&domain)?;
    }
    // Nobody may look into the process that holds the execution's capabilities.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .step(Layer::Stage, "make init unreadable")?;
    Ok(protect)
}

/// Whatever the level, the workspace is the folder that the trusted half looked at.
fn check_workspace(plan: &Plan) -> Result<(), SetupFailure> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    let path = plan.workspace.as_path();
    let folder = openat2(
        CWD,
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS,
    )
    .step_on(Layer::Mounts, "open the workspace", path)?;
    mounts::check_identity(&folder, plan.workspace_identity, path)
}
