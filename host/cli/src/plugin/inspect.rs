//! `stigmer plugin inspect`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};
use stigmer_plugin::Capability;

use super::example::{arguments, example, quoted};
use super::workbench::{WallFlags, Workbench, component, refused};
use crate::client;
use crate::failure::Failure;
use crate::follow::clean;
use crate::printer::Printer;

/// Says what a component offers and what it wants
///
/// A jailed process looks at it; nothing of it is run.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  stigmer plugin inspect table.wasm\n  stigmer plugin inspect table.wasm --json")]
pub(crate) struct InspectCommand {
    /// The component
    file: PathBuf,
    #[command(flatten)]
    walls: WallFlags,
    /// One JSON object, with the schemas of arguments and results
    #[arg(long)]
    json: bool,
}

impl InspectCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let component = component(&self.file)?;
        let bench = Workbench::open(&self.walls, printer)?;
        let name = super::name_of(&self.file);
        let seen = client::runtime()?.block_on(bench.workshop.inspect(&name, &component));
        let seen = seen.map_err(|error| refused(&self.file, error))?;
        let mut seen: Value = serde_json::from_slice(&seen).context("the inspection makes no sense")?;
        if self.json {
            if let Some(fields) = seen.as_object_mut() {
                fields.insert("version".to_owned(), json!(1));
            }
            printer.json(&seen);
        } else {
            print(&seen, &self.file, printer);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(seen: &Value, file: &Path, printer: &Printer) {
    let text = |value: &Value| clean(value.as_str().unwrap_or_default());
    let list = |name: &str| seen[name].as_array().cloned().unwrap_or_default();
    printer.line(format_args!("{}  {} bytes  {}", text(&seen["plugin"]), seen["size"], text(&seen["digest"])));
    if seen["description"].is_string() {
        printer.line(format_args!("{}", text(&seen["description"])));
    }
    for tool in list("tools") {
        printer.line(format_args!("\n  {}  {}", text(&tool["name"]), text(&tool["signature"])));
        for line in tool["description"].as_str().unwrap_or_default().lines() {
            printer.line(format_args!("      {}", clean(line)));
        }
        for line in arguments(&tool["input_schema"]) {
            printer.line(format_args!("    - {}", clean(&line)));
        }
    }
    for export in list("unsupported") {
        let name = text(&export["export"]["function"]);
        printer.line(format_args!("\n  {name} cannot be called: {}", text(&export["reason"])));
    }
    let mut needs_folder = false;
    for group in list("imports") {
        let capability = serde_json::from_value::<Capability>(group["capability"].clone());
        let meaning = capability.map_or("", Capability::meaning);
        if group["capability"] == "files" {
            needs_folder = true;
        }
        printer.line(format_args!("\n  {}: {meaning}", text(&group["capability"])));
        for interface in group["interfaces"].as_array().into_iter().flatten() {
            printer.line(format_args!("      {}", text(interface)));
        }
        for missing in group["missing"].as_array().into_iter().flatten() {
            printer.line(format_args!("      not offered here: {}", text(missing)));
        }
    }
    let example_of = list("tools").into_iter().next();
    if let Some(tool) = example_of {
        let (file, name) = (shell_word(&file.display().to_string()), text(&tool["name"]));
        let given = clean(&quoted(&example(&tool["input_schema"]).to_string()));
        let folder = if needs_folder { " --dir FOLDER:ro" } else { "" };
        printer.line(format_args!("\nexample:\n  stigmer plugin call {} {name} {given}{folder}", clean(&file)));
    }
}

/// The text as one word of a shell, as it is where that does.
fn shell_word(text: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_./:@%+=,".contains(char);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quoted(text) }
}
