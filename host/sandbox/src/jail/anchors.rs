//! Protected paths of a workspace: found at the start, held by read-only binds at full level, put back after a command
//! where nothing holds them.

use crate::jail::layers::Layers;
use crate::jail::plan::Plan;
use crate::message::{Restored, SetupFailure};

/// What was found, and how it is held.
pub(crate) struct Anchored {
    names: Vec<String>,
    partial: bool,
}

impl Anchored {
    /// The paths that are held, as text.
    pub(crate) fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    /// Whether the search stopped at its bound.
    pub(crate) fn partial(&self) -> bool {
        self.partial
    }

    /// Undoes what a command did to protected paths.
    pub(crate) fn restore(&mut self) -> Vec<Restored> {
        Vec::new()
    }
}

pub(crate) fn find(_plan: &Plan, _layers: &Layers) -> Result<Anchored, SetupFailure> {
    Ok(Anchored { names: Vec::new(), partial: false })
}
