//! What an execution did to its workspace, and how it ended.

use super::Task;
use crate::files_record;
use crate::store::StoreError;
use crate::supervisor::state::{End, Outcome};

impl Task {
    /// Looks at the workspace before anything of this execution has touched it.
    pub(super) async fn keep_baseline(&self) -> Result<(), String> {
        let store = &self.inner.store;
        if store.baseline(&self.execution).await.map_err(|error| error.to_string())?.is_some() {
            return Ok(());
        }
        let baseline = files_record::snapshot(self.request.workspace.clone().into()).await;
        let baseline = baseline.map_err(|error| error.to_string())?;
        store.set_baseline(&self.execution, baseline.to_bytes()).await.map_err(|error| error.to_string())
    }

    /// Walks the workspace again, and stores how the execution ended. A script that was not played out is a failure.
    pub(super) async fn record(&mut self, end: End) -> Result<(), StoreError> {
        let store = &self.inner.store;
        if let Some(baseline) = store.baseline(&self.execution).await? {
            let reported = store.reported_changes(&self.execution).await?;
            match files_record::changes(self.request.workspace.clone().into(), baseline, reported).await {
                Ok(record) => store.set_files(&self.execution, record.files, record.partial).await?,
                Err(error) => {
                    // The end counts more than its file record; that it is not whole is said.
                    tracing::warn!(execution = %self.execution, error = %error, "could not walk the workspace");
                    store.set_files(&self.execution, Vec::new(), true).await?;
                }
            }
        }
        store.report_denials(&self.execution).await?;
        let end = match self.inner.upstreams.left(&self.execution) {
            Some(left) if end.outcome == Outcome::Completed => End { outcome: Outcome::Failed, reason: left, ..end },
            _ => end,
        };
        let stored = store.end(&self.execution, end.outcome, end.reason, end.text).await;
        self.inner.upstreams.close(&self.execution);
        match stored {
            Ok(()) | Err(StoreError::Ended(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
