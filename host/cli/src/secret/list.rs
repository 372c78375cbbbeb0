//! `stigmer secret list`.

use std::process::ExitCode;

use serde_json::json;
use stigmer_proto::local::ListSecretsRequest;

use crate::client::{self, failed};
use crate::failure::Failure;
use crate::person;
use crate::printer::Printer;

/// Lists the keys that the daemon holds, by name and origin
#[derive(clap::Args)]
pub(crate) struct ListCommand {
    /// One JSON object
    #[arg(long)]
    json: bool,
}

impl ListCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let home = person::gather()?.stigmer_home;
        let secrets = client::runtime()?.block_on(async {
            let mut daemon = client::required(&home).await?;
            let reply = daemon.list_secrets(ListSecretsRequest {}).await;
            Ok::<_, Failure>(reply.map_err(|status| failed("could not list", &status))?.into_inner().secrets)
        })?;
        if self.json {
            let secrets: Vec<_> = secrets.iter().map(|it| json!({ "name": it.name, "origin": it.origin })).collect();
            printer.json(&json!({ "version": 1, "secrets": secrets }));
        } else {
            for it in &secrets {
                printer.line(format_args!("{}  ({})", it.name, it.origin));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
