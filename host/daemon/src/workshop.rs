//! Plugins' code for the trusted half, which never parses a component itself: jailed processes inspect, compile and call;
//! results are kept under a keyed hash.
//!
//! Used by the daemon, and by the command line where there is none.
#![expect(clippy::disallowed_methods, reason = "the trusted half reads the component that the person named")]

mod cache;
mod job;
mod memory;

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use stigmer_policy::{Level, Policy};
use stigmer_sandbox::prepare::Person;

use crate::api::runner::{PluginWork, Work};
use crate::home::Home;
use crate::supervisor::jail::JailStarter;
use crate::supervisor::{End, Outcome};

pub use cache::CacheError;
use cache::{Cache, Kind};
pub use job::JobError;

/// Largest component that is read, in bytes. Equal to what the jailed half takes.
pub const MAX_COMPONENT: u64 = 256 << 20;
/// Number of the first code descriptor in a runner; further ones follow.
pub const FIRST_CODE: u32 = 10;

/// A component as the person's file holds it. Nothing of it is understood here.
#[derive(Debug, Clone)]
pub struct Component {
    bytes: Bytes,
    digest: [u8; 32],
}

/// Why a file is not read as a component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It cannot be opened or read.
    #[error("could not read the component `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A folder, a pipe, a device.
    #[error("the component `{0}` is not a regular file")]
    NotAFile(PathBuf),
    /// Longer than [`MAX_COMPONENT`].
    #[error("the component `{path}` has more than {MAX_COMPONENT} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

impl Component {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let failed = |source| ReadError::Read { path: path.to_owned(), source };
        // Not blocking: opening a pipe that nobody writes to would wait for ever.
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).expect("flags of open(2) fit an int");
        let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(ReadError::NotAFile(path.to_owned()));
        }
        let mut bytes = Vec::new();
        file.take(MAX_COMPONENT + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_COMPONENT {
            return Err(ReadError::TooLarge { path: path.to_owned() });
        }
        Ok(Component { digest: Sha256::digest(&bytes).into(), bytes: bytes.into() })
    }

    /// sha256, lower-case hex.
    #[must_use]
    pub fn digest(&self) -> String {
        crate::hex(&self.digest)
    }
}

/// What stands behind [`Workshop`].
pub struct Parts {
    /// The home; its `cache`, `keys` and `run` are used.
    pub home: Home,
    /// Whose jails.
    pub person: Person,
    /// Starts them.
    pub jails: Arc<dyn JailStarter>,
    /// Level of the jails that inspect and compile.
    pub level: Level,
    /// The engine's own hash of what it can load; code of another is never handed out.
    pub compatibility: u64,
}

/// Inspects, compiles and calls components in jails.
pub struct Workshop {
    parts: Parts,
    cache: Cache,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkshopError {
    /// The jailed process could not be run.
    #[error(transparent)]
    Job(#[from] JobError),
    /// It says that the component cannot be used.
    #[error("{0}")]
    Component(String),
    /// The keeping place cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// No memory file could be made.
    #[error("could not make a memory file")]
    Memory(#[source] std::io::Error),
}

/// What a call came to.
#[derive(Debug)]
pub struct Called {
    /// How the job ended.
    pub end: End,
    /// One JSON object: `value` or `error`, `used`, `stdout`, `stderr`, `denials`; empty when the call did not begin.
    pub json: Bytes,
}

impl Workshop {
    /// A workshop over the home's cache. Makes the cache's key when there is none.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn new(parts: Parts) -> Result<Self, CacheError> {
        let cache = Cache::open(parts.home.path(), parts.compatibility)?;
        Ok(Workshop { parts, cache })
    }

    /// What the component offers, as the JSON of an inspection. `name` becomes the first part of its tools' names.
    ///
    /// # Errors
    /// [`WorkshopError::Component`] for a file that is no component.
    pub async fn inspect(&self, name: &str, component: &Component) -> Result<Bytes, WorkshopError> {
        let kind = Kind::Tools(name);
        if let Some(known) = self.cache.get(kind, &component.digest)? {
            return Ok(known);
        }
        let work = Work::PluginInspect { name: name.to_owned(), wasm_fd: FIRST_CODE };
        let bytes = self.made(work, component).await?;
        self.cache.put(kind, &component.digest, &bytes)?;
        Ok(bytes)
    }

    /// The component's compiled code in a sealed memory file.
    ///
    /// # Errors
    /// [`WorkshopError`].
    pub async fn code(&self, component: &Component) -> Result<Arc<OwnedFd>, WorkshopError> {
        let code = match self.cache.get(Kind::Code, &component.digest)? {
            Some(known) => known,
            None => {
                let bytes = self.made(Work::Compile { wasm_fd: FIRST_CODE }, component).await?;
                self.cache.put(Kind::Code, &component.digest, &bytes)?;
                bytes
            }
        };
        memory::sealed(&code).map(Arc::new).map_err(WorkshopError::Memory)
    }

    /// Calls one export with a JSON object, under `policy` at `level`; `workspace` is the one folder it is given.
    ///
    /// # Errors
    /// [`WorkshopError`]; a call that was made and failed is a [`Called`].
    pub async fn call(&self, call: Call) -> Result<Called, WorkshopError> {
        let policy = serde_json::to_vec(&call.policy).expect("a policy is texts and numbers");
        let work = Work::PluginCall {
            plugin: call.plugin,
            export: call.export,
            arguments: call.arguments,
            policy,
            level: call.level.name().to_owned(),
            workspace: call.workspace,
        };
        let (end, json) = job::run(&self.parts, work, vec![call.code], call.policy, call.level).await?;
        Ok(Called { end, json })
    }

    async fn made(&self, work: Work, component: &Component) -> Result<Bytes, WorkshopError> {
        let memory = memory::sealed(&component.bytes).map_err(WorkshopError::Memory)?;
        let (end, bytes) = job::run_alone(&self.parts, work, vec![Arc::new(memory)]).await?;
        match end.outcome {
            Outcome::Completed => Ok(bytes),
            _ => Err(WorkshopError::Component(end.reason)),
        }
    }
}

/// One call of [`Workshop::call`].
pub struct Call {
    /// The plugin; its `code_fd` is [`FIRST_CODE`].
    pub plugin: PluginWork,
    /// Its code.
    pub code: Arc<OwnedFd>,
    /// Tool name, or `interface#function`.
    pub export: String,
    /// JSON object.
    pub arguments: Vec<u8>,
    /// What may be reached.
    pub policy: Policy,
    /// Level to build.
    pub level: Level,
    /// The granted folder.
    pub workspace: String,
}

#[cfg(test)]
mod tests;
