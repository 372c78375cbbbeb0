//! `stigmer execution cancel`.

use std::process::ExitCode;

use serde_json::json;
use stigmer_proto::local::CancelRequest;

use crate::client::{self, failed};
use crate::failure::Failure;
use crate::person;
use crate::printer::Printer;

/// Ends an execution; returns when every process of it is gone
#[derive(clap::Args)]
pub(crate) struct CancelCommand {
    /// The execution
    execution: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

impl CancelCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let home = person::gather()?.stigmer_home;
        let outcome = client::runtime()?.block_on(async {
            let mut daemon = client::required(&home).await?;
            let reply = daemon.cancel(CancelRequest { execution: self.execution.clone() }).await;
            Ok::<_, Failure>(reply.map_err(|status| failed("could not cancel", &status))?.into_inner().outcome)
        })?;
        if self.json {
            printer.json(&json!({ "version": 1, "execution": self.execution, "outcome": outcome }));
        } else {
            printer.line(format_args!("{}: {outcome}", self.execution));
        }
        Ok(ExitCode::SUCCESS)
    }
}
