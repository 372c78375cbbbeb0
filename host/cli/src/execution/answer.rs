//! `stigmer execution approve` and `deny`.

use std::process::ExitCode;

use serde_json::json;
use stigmer_proto::local::AnswerRequest;

use crate::client::{self, failed};
use crate::failure::Failure;
use crate::follow::clean;
use crate::person;
use crate::printer::Printer;

/// Answers a waiting call
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stigmer execution approve aex-01j… --call 2.1\n  stigmer execution deny aex-01j… --all"
)]
pub(crate) struct AnswerCommand {
    /// The execution that waits
    execution: String,
    /// The call; the oldest one that waits when left out
    #[arg(long, conflicts_with = "all")]
    call: Option<String>,
    /// Every call that waits
    #[arg(long)]
    all: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

impl AnswerCommand {
    pub(crate) fn execute(self, approve: bool, printer: &Printer) -> Result<ExitCode, Failure> {
        let home = person::gather()?.stigmer_home;
        let (execution, all) = (self.execution.clone(), self.all);
        let request = AnswerRequest { execution, call: self.call.unwrap_or_default(), approve, all };
        let answered = client::runtime()?.block_on(async {
            let mut daemon = client::required(&home).await?;
            let reply = daemon.answer(request).await;
            Ok::<_, Failure>(reply.map_err(|status| failed("could not answer", &status))?.into_inner().answered)
        })?;
        let word = if approve { "approved" } else { "denied" };
        if self.json {
            let calls = answered.iter().map(|it| json!({ "call": it.call, "summary": it.summary, "state": it.state }));
            printer.json(&json!({ "version": 1, "execution": self.execution, "answered": calls.collect::<Vec<_>>() }));
        } else {
            for it in &answered {
                printer.line(format_args!("{word} {} of {}: {}", it.call, self.execution, clean(&it.summary)));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
