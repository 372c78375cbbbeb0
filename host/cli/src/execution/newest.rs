//! The execution that is meant when none is named.

use stigmer_proto::local::ListExecutionsRequest;

use crate::client::{Daemon, failed};
use crate::failure::Failure;

/// `named`, else the newest of all.
///
/// # Errors
/// When nothing has run yet.
pub(super) async fn named_or_newest(daemon: &mut Daemon, named: Option<String>) -> Result<String, Failure> {
    if let Some(named) = named {
        return Ok(named);
    }
    let newest = daemon.list_executions(ListExecutionsRequest { limit: 1, workspace: String::new() }).await;
    let newest = newest.map_err(|status| failed("could not look for the newest execution", &status))?.into_inner();
    let newest = newest.executions.into_iter().next();
    newest.map(|execution| execution.id).ok_or_else(|| {
        let hint = "`stigmer run -m MESSAGE` begins one".to_owned();
        Failure::said_no(anyhow::anyhow!("nothing has run yet")).hint(Some(hint))
    })
}
