//! Read-only binds over protected paths, and binds of the folders above them onto themselves.

use std::collections::BTreeSet;

use stigmer_policy::{JailPath, Layer, Policy, protected};

use crate::failure::Step;
use crate::jail::mounts;
use crate::message::SetupFailure;

/// Binds that stand in init's mount namespace; every command gets a copy of them.
#[derive(Default)]
pub(crate) struct Anchors {
    folders: BTreeSet<JailPath>,
    held: BTreeSet<JailPath>,
}

impl Anchors {
    /// How many binds stand.
    pub(crate) fn count(&self) -> usize {
        self.folders.len() + self.held.len()
    }

    /// Holds `path`: it cannot be changed, and no folder above it can be moved away or removed.
    ///
    /// # Errors
    /// When a bind is refused, or a link stands on the way.
    pub(crate) fn hold(&mut self, policy: &Policy, path: &JailPath) -> Result<(), SetupFailure> {
        // Parents first: a bind made inside a folder that is bound later would lie below that later bind.
        for folder in protected::anchors(policy, [path]) {
            if self.folders.insert(folder.clone()) {
                let as_path = folder.as_path();
                mounts::bind_onto_itself(as_path, false).step_on(Layer::Anchors, "anchor", as_path)?;
            }
        }
        if self.held.insert(path.clone()) {
            mounts::bind_onto_itself(path.as_path(), true).step_on(Layer::Anchors, "protect", path.as_path())?;
        }
        Ok(())
    }
}
