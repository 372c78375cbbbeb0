//! `stigmer execution show`.

use std::process::ExitCode;

use serde_json::json;
use stigmer_proto::local::ShowExecutionReply;

use super::record::record_json;
use crate::client;
use crate::failure::Failure;
use crate::follow::{clean, record};
use crate::person;
use crate::printer::Printer;

/// Shows the daemon's record of an execution: files, denials, usage, what waits
#[derive(clap::Args)]
pub(crate) struct ShowCommand {
    /// The execution
    execution: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

impl ShowCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let home = person::gather()?.stigmer_home;
        let record = client::runtime()?.block_on(async {
            let mut daemon = client::required(&home).await?;
            record(&mut daemon, &self.execution).await
        })?;
        if self.json {
            let mut value = json!({ "version": 1 });
            if let (Some(value), Some(fields)) = (value.as_object_mut(), record_json(&record).as_object_mut()) {
                value.append(fields);
            }
            printer.json(&value);
        } else {
            print(&record, printer);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(record: &ShowExecutionReply, printer: &Printer) {
    let it = record.execution.clone().unwrap_or_default();
    let line = |name: &str, value: &str| printer.line(format_args!("  {name:<10} {value}"));
    printer.line(format_args!("{}  {}", it.id, if it.outcome.is_empty() { &it.state } else { &it.outcome }));
    line("title", &clean(&it.title));
    line("reason", &clean(&it.reason));
    line("workspace", &clean(&it.workspace));
    line("model", &format!("{} {}", it.provider, it.model));
    let confined = if it.level == "filesystem" { ", confined: no" } else { "" };
    line("sandbox", &format!("{}, level {}{confined}", it.sandbox, it.level));
    for file in &record.files {
        let text =
            format!("{} {} ({} bytes, by {}) {}", file.change, clean(&file.path), file.size, file.wall, file.sha256);
        line("file", &text);
    }
    if record.files_partial {
        line("file", "the walk reached its bound: there may be more");
    }
    for denial in &record.denials {
        let text = format!(
            "{}: {} (rule {}, seen by {}, {} times)",
            clean(&denial.subject),
            clean(&denial.reason),
            denial.rule,
            denial.observer,
            denial.count
        );
        line("denied", &text);
        if !denial.grant.is_empty() {
            line("", &format!("would be allowed by {}", clean(&denial.grant)));
        }
    }
    for approval in record.approvals.iter().filter(|approval| approval.state == "waiting") {
        line("waits", &format!("{} {}", approval.call, clean(&approval.summary)));
    }
    let usage = record.usage.unwrap_or_default();
    line("usage", &format!("{} turns, {} tokens in, {} out", usage.turns, usage.input_tokens, usage.output_tokens));
}
