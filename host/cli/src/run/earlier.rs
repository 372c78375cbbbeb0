//! The execution whose conversation a run goes on with.

use anyhow::anyhow;
use stigmer_proto::local::{Execution, ListExecutionsRequest};

use crate::client::{Daemon, failed};
use crate::failure::Failure;
use crate::follow::record;

/// The execution that is named, or the newest of the workspace; `None` when neither is asked for. Whether it can be gone
/// on from is the daemon's to say.
pub(super) async fn find(
    daemon: &mut Daemon,
    named: Option<&str>,
    newest: bool,
    workspace: &str,
) -> Result<Option<Execution>, Failure> {
    if let Some(named) = named {
        return Ok(record(daemon, named).await?.execution);
    }
    if !newest {
        return Ok(None);
    }
    let request = ListExecutionsRequest { limit: 1, workspace: workspace.to_owned() };
    let reply = daemon.list_executions(request).await;
    let reply = reply.map_err(|status| failed("could not look for an execution to continue", &status))?.into_inner();
    match reply.executions.into_iter().next() {
        Some(execution) => Ok(Some(execution)),
        None => {
            let error = anyhow!("nothing has run in `{workspace}` that could be continued");
            Err(Failure::said_no(error).hint(Some("leave `--continue` out to begin".to_owned())))
        }
    }
}
