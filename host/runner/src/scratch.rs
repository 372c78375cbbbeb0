//! Where long results and long commands lie: the scratch folder.

use async_trait::async_trait;
use bytes::Bytes;
use stigmer_agent::{CallEnd, CallId, Spill, SpillError};
use stigmer_policy::JailPath;
use stigmer_sandbox::files::Roots;

/// Writes into the scratch folder, through the file wall.
#[derive(Clone)]
pub(crate) struct Scratch {
    pub(crate) roots: Roots,
    pub(crate) folder: JailPath,
}

impl Scratch {
    /// Writes `content` to a file of that name and returns its path.
    pub(crate) async fn write(&self, name: String, content: Bytes) -> Result<String, String> {
        let path = self.folder.join(name).map_err(|error| error.to_string())?;
        let roots = self.roots.clone();
        let written = tokio::task::spawn_blocking(move || {
            roots.write(&path, &content).map(|_| path.to_string()).map_err(|error| error.to_string())
        });
        written.await.map_err(|_| "the file wall broke off".to_owned())?
    }

    /// Makes the file of a whole result again, at the path that the model was told.
    pub(crate) async fn restore(&self, end: &CallEnd) -> Result<(), String> {
        let (Some(path), Some(full)) = (&end.spilled, &end.full) else { return Ok(()) };
        // The path comes from the journal; only one of ours is made again.
        if *path != self.folder.join(name(end.call)).map_err(|error| error.to_string())?.to_string() {
            return Ok(());
        }
        self.write(name(end.call), full.clone()).await.map(drop)
    }
}

fn name(call: CallId) -> String {
    format!("result-{call}.txt")
}

#[async_trait]
impl Spill for Scratch {
    async fn spill(&self, call: CallId, whole: Bytes) -> Result<String, SpillError> {
        self.write(name(call), whole).await.map_err(SpillError)
    }
}
