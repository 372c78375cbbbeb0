//! The executions that one continues.

use super::RunError;
use crate::ExecutionId;
use crate::request::RunRequest;
use crate::store::{ExecutionRow, Store};

/// Executions that one may continue, one after the other. Each runner reads all of them before its first request; a
/// conversation that long fits no model any more.
pub const MAX_EARLIER: usize = 64;

/// An execution that is continued.
#[derive(Debug, Clone)]
pub(super) struct Earlier {
    pub(super) id: ExecutionId,
    /// The person's words of then.
    pub(super) message: String,
}

/// What `request` continues, oldest first; none when it continues nothing. Takes over what the request leaves open.
///
/// # Errors
/// When it names none, one that has not ended, one of another workspace or of another API, or one too many.
pub(super) async fn checked(store: &Store, request: &mut RunRequest) -> Result<Vec<Earlier>, RunError> {
    let rows = store.lineage(&request.resume).await?;
    let Some(last) = rows.last() else { return Ok(Vec::new()) };
    let execution = last.id.to_string();
    if last.outcome.is_none() {
        return Err(RunError::NotEnded(execution));
    }
    if last.workspace != request.workspace {
        return Err(RunError::OtherWorkspace { execution, workspace: last.workspace.clone() });
    }
    if rows.len() > MAX_EARLIER {
        return Err(RunError::TooLong);
    }
    let earlier = read(last)?;
    if earlier.wire() != request.wire() {
        return Err(RunError::OtherWire { execution, earlier: earlier.provider, asked: request.provider.clone() });
    }
    request.inherit(&earlier);
    each(&rows)
}

/// The executions that one continues whose parent is `parent`; empty: none.
pub(super) async fn of(store: &Store, parent: &str) -> Result<Vec<Earlier>, RunError> {
    each(&store.lineage(parent).await?)
}

fn each(rows: &[ExecutionRow]) -> Result<Vec<Earlier>, RunError> {
    rows.iter().map(|row| Ok(Earlier { id: row.id.clone(), message: read(row)?.message })).collect()
}

fn read(row: &ExecutionRow) -> Result<RunRequest, RunError> {
    serde_json::from_slice(&row.request).map_err(|_| RunError::Unreadable(row.id.to_string()))
}
