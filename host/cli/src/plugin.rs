//! `stigmer plugin`: components alone, without a daemon. The command line is the trusted half then; neither it nor a
//! daemon parses a component.

mod call;
mod example;
mod given;
mod inspect;
mod workbench;

use std::path::Path;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::printer::Printer;

/// Components as tools
#[derive(clap::Args)]
pub(crate) struct PluginCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    Inspect(inspect::InspectCommand),
    Call(call::CallCommand),
}

impl PluginCommand {
    /// Runs the verb.
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Inspect(command) => command.execute(printer),
            Verb::Call(command) => command.execute(printer),
        }
    }
}

/// The name of a plugin: that of its file, as far as tool names may hold it.
pub(crate) fn name_of(file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let fits = |char: char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' };
    let name: String = stem.chars().map(fits).collect();
    if name.is_empty() { "plugin".to_owned() } else { name }
}
