//! What compiled code must fit.

use anyhow::Context;
use stigmer_plugin::{Engine, EngineKind};

/// The engine's own hash of everything that compiled code depends on. No component is looked at here.
pub(crate) fn compatibility() -> anyhow::Result<u64> {
    Ok(Engine::new(EngineKind::OneShot).context("could not make the plugin engine")?.compatibility_hash())
}
