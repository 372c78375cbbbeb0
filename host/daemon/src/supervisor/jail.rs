//! What the supervisor needs of a jail. The real one stands on `stigmer_sandbox::start`; tests bring their own.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use stigmer_policy::{Level, Policy};

use crate::api::runner::Question;

/// Everything that a jail is made from.
#[derive(Debug, Clone)]
pub struct JailSpec {
    /// Name of the execution; names its folder under `run/`.
    pub name: String,
    /// Level to build; a jail that cannot hold it is refused, never weakened.
    pub level: Level,
    /// What may be reached.
    pub policy: Policy,
    /// Whether init starts a command only after its release.
    pub released: bool,
    /// Folder for home and scratch where the level has no mounts of its own; made and removed by the starter.
    pub run: PathBuf,
    /// Code of plugins, in the order of their numbers.
    pub code: Vec<Arc<OwnedFd>>,
}

/// Starts jails.
#[async_trait]
pub trait JailStarter: Send + Sync + 'static {
    /// Makes a jail and starts a runner in it, whose stream is `rpc`. Returns when init has it in hand.
    ///
    /// # Errors
    /// [`JailError`]; nothing is left of the jail then.
    async fn start(&self, spec: &JailSpec, rpc: OwnedFd) -> Result<Box<dyn Jail>, JailError>;
}

/// A jail that stands. Dropping it ends its tree.
#[async_trait]
pub trait Jail: Send + Sync {
    /// What happens in it next. May be dropped and called again; after [`JailEvent::Gone`] it gives that for ever.
    async fn event(&mut self) -> JailEvent;
    /// Lets init start the command of `question`, and no other, under its number.
    ///
    /// # Errors
    /// When init does not listen any more.
    async fn release(&mut self, question: &Question) -> Result<(), JailError>;
    /// Ends what the last runner started and starts another, in the same mounts with the same scratch.
    ///
    /// # Errors
    /// When init does not listen any more.
    async fn restart_runner(&mut self, rpc: OwnedFd) -> Result<(), JailError>;
    /// Begins to end the tree; [`JailEvent::Gone`] says when it is gone. Again changes nothing.
    async fn stop(&mut self);
}

/// What happens in a jail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JailEvent {
    /// The runner ended; its wait status in words.
    RunnerEnded(String),
    /// The whole tree is gone; why, in words.
    Gone(String),
}

/// Why a jail could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JailError {
    /// What could not be done, on what, and why.
    pub message: String,
    /// Whether the same could work another time.
    pub again: bool,
}
