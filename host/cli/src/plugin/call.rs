//! `stigmer plugin call`.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use serde_json::{Value, json};
use stigmer_daemon::api::runner::PluginWork;
use stigmer_daemon::workshop::{Call, FIRST_CODE};
use stigmer_policy::Policy;
use stigmer_sandbox::prepare::{Folders, places};

use super::given::Given;
use super::workbench::{WallFlags, Workbench, component, refused};
use crate::client;
use crate::failure::{Failure, SAID_NO};
use crate::follow::clean;
use crate::printer::Printer;

/// Names of changed files that are shown to a person; `--json` has them all.
const SHOWN_CHANGES: usize = 20;

/// Longest arguments, in bytes.
const MAX_ARGUMENTS: u64 = 1 << 20;

/// Calls one export of a component
///
/// The result alone goes to stdout, as JSON; what it used and what it printed goes to stderr. Exits with 1 when the call
/// failed or was denied.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stigmer plugin call table.wasm table_profile '{\"path\": \"/work/orders.csv\"}' --dir /work:ro\n  stigmer plugin call hash.wasm hash_digest - < arguments.json"
)]
pub(crate) struct CallCommand {
    /// The component
    file: PathBuf,
    /// Name of the tool, or of the export as WIT has it
    export: String,
    /// One JSON object; `-` reads it from stdin
    #[arg(default_value = "{}")]
    arguments: String,
    /// Folder that it is given, at its own path; `:ro` for reading only; several are allowed. Without it there is none
    /// of yours.
    #[arg(long, value_name = "FOLDER[:ro|rw]")]
    dir: Vec<String>,
    #[command(flatten)]
    walls: WallFlags,
    /// One JSON object: value or error, use, output, denials
    #[arg(long)]
    json: bool,
}

impl CallCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let arguments = arguments(&self.arguments)?;
        let component = component(&self.file)?;
        let bench = Workbench::open(&self.walls, printer)?;
        let given = Given::of(&self.dir, &bench)?;
        let id = format!("job-{}", ulid::Ulid::new());
        let folders = Folders::of(bench.level, &bench.person, &bench.home.path().join("run").join(id));
        let folders = folders.context("the home folder is no path for a jail").map_err(Failure::usage)?;
        let places = places(&given.workspace, &folders, &bench.person, Vec::new());
        let places = places.context("the home folder is no path for a jail").map_err(Failure::usage)?;
        let mut policy = if given.read_only { Policy::read_only(&places) } else { Policy::workspace(&places) };
        policy.roots.extend(given.beside.iter().cloned());
        policy.check().context("these folders do not go together").map_err(Failure::usage)?;
        let name = super::name_of(&self.file);
        let called = client::runtime()?.block_on(async {
            let tools = bench.workshop.inspect(&name, &component).await?;
            let code = bench.workshop.code(&component).await?;
            let plugin = PluginWork {
                name,
                digest: component.digest(),
                code_fd: FIRST_CODE,
                tools: tools.to_vec(),
                read_only: given.read_only,
                hosts: Vec::new(),
            };
            let (export, level) = (self.export.clone(), bench.level);
            let workspace = given.workspace.to_string();
            bench.workshop.call(Call { plugin, code, export, arguments, policy, level, workspace }).await
        });
        let called = called.map_err(|error| refused(&self.file, error))?;
        if called.json.is_empty() {
            return Err(Failure::said_no(anyhow!(called.end.reason)));
        }
        let outcome: Value = serde_json::from_slice(&called.json).context("the call's result makes no sense")?;
        Ok(self.print(outcome, printer))
    }

    fn print(&self, mut outcome: Value, printer: &Printer) -> ExitCode {
        let failed = outcome.get("error").is_some();
        if self.json {
            if let Some(fields) = outcome.as_object_mut() {
                fields.insert("version".to_owned(), json!(1));
            }
            printer.json(&outcome);
        } else {
            for stream in ["stdout", "stderr"] {
                for line in outcome[stream]["text"].as_str().unwrap_or_default().lines() {
                    printer.note(format_args!("{stream}: {}", clean(line)));
                }
            }
            for denial in outcome["denials"].as_array().into_iter().flatten() {
                let text = |name: &str| clean(denial[name].as_str().unwrap_or_default());
                printer.note(format_args!("denied {}: {} (rule {})", text("subject"), text("reason"), text("rule")));
            }
            match outcome.get("error") {
                None => printer.json(&outcome["value"]),
                Some(error) => {
                    printer.error(format_args!("{}", clean(error["message"].as_str().unwrap_or_default())));
                    if let Some(hint) = error["hint"].as_str() {
                        printer.hint(format_args!("{}", clean(hint)));
                    }
                }
            }
            for path in outcome["changed"].as_array().into_iter().flatten().take(SHOWN_CHANGES) {
                printer.note(format_args!("changed {}", clean(path.as_str().unwrap_or_default())));
            }
            let more = outcome["changed"].as_array().map_or(0, Vec::len).saturating_sub(SHOWN_CHANGES);
            if outcome["changed_more"] == true {
                printer.note(format_args!("changed more than {more} others"));
            } else if more > 0 {
                printer.note(format_args!("changed {more} others"));
            }
            printer.note(format_args!("{}", used(&outcome["used"])));
        }
        if failed { ExitCode::from(SAID_NO) } else { ExitCode::SUCCESS }
    }
}

/// What a call used, in words.
fn used(used: &Value) -> String {
    let milliseconds = used["wall"]["secs"].as_u64().unwrap_or(0) * 1000
        + used["wall"]["nanos"].as_u64().unwrap_or(0).div_ceil(1_000_000);
    let mebibytes = used["peak_memory_bytes"].as_u64().unwrap_or(0) as f64 / f64::from(1 << 20);
    let random = match used["random_bytes"].as_u64() {
        None | Some(0) => String::new(),
        Some(bytes) => format!(", {bytes} random bytes"),
    };
    format!("took {milliseconds} ms and at most {mebibytes:.1} MiB of memory{random}")
}

/// The arguments as one JSON object; what is wrong with them is said before anything is started.
fn arguments(typed: &str) -> Result<Vec<u8>, Failure> {
    let text = if typed == "-" {
        let mut text = String::new();
        let read = std::io::stdin().lock().take(MAX_ARGUMENTS + 1).read_to_string(&mut text);
        read.context("could not read the arguments from stdin").map_err(Failure::usage)?;
        text
    } else {
        typed.to_owned()
    };
    if text.len() as u64 > MAX_ARGUMENTS {
        return Err(Failure::usage(anyhow!("the arguments are longer than {MAX_ARGUMENTS} bytes")));
    }
    let value: Value = serde_json::from_str(&text).context("the arguments are not JSON").map_err(Failure::usage)?;
    if !value.is_object() {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        let hint = "name each argument: '{\"path\": \"…\"}'".to_owned();
        return Err(Failure::usage(anyhow!("the arguments are {kind}; one JSON object is expected")).hint(Some(hint)));
    }
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_is_told_in_words() {
        let of = |secs, nanos, memory, random| {
            used(&json!({"wall": {"secs": secs, "nanos": nanos}, "peak_memory_bytes": memory, "random_bytes": random}))
        };
        assert_eq!(of(0, 1, 1_572_864, 0), "took 1 ms and at most 1.5 MiB of memory");
        assert_eq!(of(2, 30_000_000, 0, 32), "took 2030 ms and at most 0.0 MiB of memory, 32 random bytes");
    }
}
