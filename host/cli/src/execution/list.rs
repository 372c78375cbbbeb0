//! `stigmer execution list`.

use std::process::ExitCode;

use serde_json::json;
use stigmer_proto::local::ListExecutionsRequest;

use super::record::execution_json;
use crate::client::{self, failed};
use crate::failure::Failure;
use crate::person;
use crate::printer::Printer;

/// Lists executions, newest first
#[derive(clap::Args)]
pub(crate) struct ListCommand {
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

impl ListCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let home = person::gather()?.stigmer_home;
        let executions = client::runtime()?.block_on(async {
            let mut daemon = client::required(&home).await?;
            let reply =
                daemon.list_executions(ListExecutionsRequest { limit: self.limit, workspace: String::new() }).await;
            Ok::<_, Failure>(reply.map_err(|status| failed("could not list", &status))?.into_inner().executions)
        })?;
        if self.json {
            let executions: Vec<_> = executions.iter().map(execution_json).collect();
            printer.json(&json!({ "version": 1, "executions": executions }));
        } else {
            for it in &executions {
                let state = if it.outcome.is_empty() { &it.state } else { &it.outcome };
                printer.line(format_args!("{}  {state:<10} {:<10} {}", it.id, it.provider, it.title));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
