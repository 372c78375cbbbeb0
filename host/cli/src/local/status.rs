//! `stigmer local status`.

use std::process::ExitCode;

use serde_json::json;
use stigmer_proto::local::{ListSecretsRequest, StatusReply, StatusRequest};

use crate::banner;
use crate::client::{self, failed};
use crate::failure::{Failure, SAID_NO};
use crate::person;
use crate::printer::Printer;

/// Says what is in effect: settings with their origin, sandbox, keys by name
///
/// Exits with 1 when no daemon runs.
#[derive(clap::Args)]
pub(crate) struct StatusCommand {
    /// One JSON object
    #[arg(long)]
    json: bool,
}

impl StatusCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let person = person::gather()?;
        let socket = client::socket(&person.stigmer_home);
        if client::listener(&socket)?.is_none() {
            if self.json {
                printer.line(format_args!("{}", json!({ "version": 1, "running": false })));
            } else {
                printer.line(format_args!("no daemon runs for {}", person.stigmer_home.display()));
            }
            return Ok(ExitCode::from(SAID_NO));
        }
        let (status, secrets) = client::runtime()?.block_on(async {
            let mut daemon = client::connect(&socket).await?;
            let status = daemon.status(StatusRequest {}).await;
            let status = status.map_err(|status| failed("could not ask for the status", &status))?.into_inner();
            let secrets = daemon.list_secrets(ListSecretsRequest {}).await;
            let secrets = secrets.map_err(|status| failed("could not ask for the keys", &status))?.into_inner().secrets;
            Ok::<_, Failure>((status, secrets))
        })?;
        let keys: Vec<_> = secrets.into_iter().map(|secret| (secret.name, secret.origin)).collect();
        if self.json {
            print_json(&status, &keys, printer)
        } else {
            print(&status, &keys, printer)
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(status: &StatusReply, keys: &[(String, String)], printer: &Printer) {
    let width = status.settings.iter().map(|setting| setting.name.len()).max().unwrap_or_default();
    let line = |name: &str, value: &str| printer.line(format_args!("  {name:<width$} {value}"));
    printer.line(format_args!("stigmer {} is running (pid {})", status.version, status.pid));
    for setting in &status.settings {
        if setting.value.is_empty() {
            line(&setting.name, &setting.origin);
        } else {
            line(&setting.name, &format!("{} ({})", setting.value, setting.origin));
        }
    }
    let sandbox = status.sandbox.clone().unwrap_or_default();
    line("walls", &banner::walls(&sandbox.kind, &sandbox.level));
    line("proved", &or_none(&sandbox.proved));
    line("not held", &or_none(&sandbox.not_prevented));
    for (name, origin) in keys {
        line("key", &format!("{name} ({origin})"));
    }
    line("running", &format!("{} executions, {} parked", status.running, status.parked));
}

fn or_none(list: &[String]) -> String {
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}

fn print_json(status: &StatusReply, keys: &[(String, String)], printer: &Printer) {
    let sandbox = status.sandbox.clone().unwrap_or_default();
    let settings = status.settings.iter();
    let value = |text: &String| (!text.is_empty()).then(|| text.clone());
    let settings = settings.map(|it| json!({ "name": it.name, "value": value(&it.value), "origin": it.origin }));
    let providers = status.providers.iter();
    let providers =
        providers.map(|it| json!({ "name": it.name, "endpoint": it.endpoint, "key_origin": it.key_origin }));
    let value = json!({
        "version": 1,
        "running": true,
        "pid": status.pid,
        "program": status.version,
        "started_ms": status.started_ms,
        "home": status.home,
        "endpoint": status.endpoint,
        "settings": settings.collect::<Vec<_>>(),
        "sandbox": {
            "kind": sandbox.kind, "level": sandbox.level, "confined": sandbox.level != "filesystem",
            "proved": sandbox.proved, "not_prevented": sandbox.not_prevented,
        },
        "keys": keys.iter().map(|(name, origin)| json!({ "name": name, "origin": origin })).collect::<Vec<_>>(),
        "providers": providers.collect::<Vec<_>>(),
        "executions": { "running": status.running, "parked": status.parked },
    });
    printer.line(format_args!("{value}"));
}
