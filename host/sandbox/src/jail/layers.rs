//! Which layers stand in a jail.

use stigmer_policy::{Layer, Level};

/// The layers of one jail. `doctor`'s own test leaves some out to see which probe notices; nothing else does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    level: Level,
    left_out: Vec<Layer>,
}

impl Layers {
    /// All layers of `level` but those in `left_out`.
    #[must_use]
    pub fn new(level: Level, left_out: Vec<Layer>) -> Layers {
        Layers { level, left_out }
    }

    /// The level they belong to.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Whether `layer` stands.
    #[must_use]
    pub fn has(&self, layer: Layer) -> bool {
        if self.left_out.contains(&layer) {
            return false;
        }
        match layer {
            Layer::Mounts | Layer::Anchors | Layer::Pids | Layer::NetNamespace | Layer::IpcNamespace => {
                self.level == Level::Full
            }
            Layer::LandlockFiles | Layer::LandlockScopes | Layer::Seccomp | Layer::Capabilities => {
                self.level >= Level::Base
            }
            // The plain subprocess of the `filesystem` level has these, too.
            Layer::Stage | Layer::Rlimits | Layer::Scrub => true,
            // A layer that this file does not know is not claimed.
            _ => false,
        }
    }

    /// Whether a user namespace is needed at all.
    #[must_use]
    pub fn needs_namespaces(&self) -> bool {
        self.level == Level::Full
    }
}
