//! Fakes for the tests: the trusted half over a real stream, init over a real channel, a folder to work in.

#![expect(clippy::disallowed_methods, reason = "tests build their own fixtures")]

use std::sync::Arc;

use stigmer_agent::{CallCtx, CallId, CancellationToken, Event, Events};
use stigmer_policy::{JailPath, Places, Policy};
use stigmer_sandbox::files::Roots;
use tempfile::TempDir;

pub(crate) mod init;
pub(crate) mod trusted_half;

/// Workspace, scratch and home, and the built-in policy over them.
pub(crate) struct World {
    /// Keeps the folders.
    _folder: TempDir,
    pub(crate) places: Places,
    pub(crate) policy: Policy,
}

impl World {
    pub(crate) fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let place = |name: &str| {
            std::fs::create_dir(base.join(name)).unwrap();
            JailPath::absolute(base.join(name)).unwrap()
        };
        let places = Places::new(place("work"), place("scratch"), place("home"));
        // What lies outside, to be refused.
        std::fs::write(base.join("outside.txt"), "secret").unwrap();
        let policy = Policy::workspace(&places);
        World { _folder: folder, places, policy }
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn folder(&self, name: &str) {
        std::fs::create_dir_all(self.path(name)).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.path(name)).ok()
    }

    /// The path of a name in the workspace.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.places.workspace)
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::open(&self.policy).unwrap()
    }

    pub(crate) fn place(&self) -> crate::tools::Place {
        crate::tools::Place { roots: self.roots(), workspace: self.places.workspace.clone() }
    }
}

struct Nowhere;

#[async_trait::async_trait]
impl Events for Nowhere {
    async fn emit(&self, _: Event) {}
}

/// The surroundings of a call that nobody watches.
pub(crate) fn ctx() -> CallCtx {
    CallCtx { call: CallId::new(1, 1), turn: 1, cancel: CancellationToken::new(), events: Arc::new(Nowhere) }
}

/// Only a guard: a test that waits for what never comes should say so.
pub(crate) async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let time = std::time::Duration::from_secs(60);
    tokio::time::timeout(time, wait).await.unwrap_or_else(|_| panic!("{what} did not come"))
}
