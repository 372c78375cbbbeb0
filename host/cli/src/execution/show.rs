//! `stigmer execution show`.

use std::process::ExitCode;

use serde_json::json;
use stigmer_proto::local::ShowExecutionReply;

use super::newest::named_or_newest;
use super::record::record_json;
use crate::banner;
use crate::client;
use crate::failure::Failure;
use crate::follow::{clean, record, used};
use crate::person;
use crate::printer::Printer;

/// Shows the daemon's record of an execution: files, denials, usage, what waits
#[derive(clap::Args)]
pub(crate) struct ShowCommand {
    /// The execution; the newest when left out
    execution: Option<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

impl ShowCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let home = person::gather()?.stigmer_home;
        let record = client::runtime()?.block_on(async {
            let mut daemon = client::required(&home).await?;
            let execution = named_or_newest(&mut daemon, self.execution).await?;
            record(&mut daemon, &execution).await
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
    if !it.parent.is_empty() {
        line("continues", &it.parent);
    }
    // What a script expected and got stands on lines of its own.
    for (number, text) in it.reason.lines().enumerate() {
        line(if number == 0 { "reason" } else { "" }, &clean(text));
    }
    line("workspace", &clean(&it.workspace));
    line("model", &format!("{} {}", it.provider, it.model));
    line("sandbox", &banner::walls(&it.sandbox, &it.level));
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
            "{}: {} (rule {}, seen by {}{})",
            clean(&denial.subject),
            clean(&denial.reason),
            denial.rule,
            denial.observer,
            if denial.count > 1 { format!(", {} times", denial.count) } else { String::new() }
        );
        line("denied", &text);
        if !denial.grant.is_empty() {
            line("", &format!("would be allowed by {}", clean(&denial.grant)));
        }
    }
    for approval in record.approvals.iter().filter(|approval| approval.state == "waiting") {
        line("waits", &format!("{} {}", approval.call, clean(&approval.summary)));
    }
    for (number, text) in record.text.lines().enumerate() {
        line(if number == 0 { "text" } else { "" }, &clean(text));
    }
    line("usage", &used(record));
}
