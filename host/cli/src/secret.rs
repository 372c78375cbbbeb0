//! `stigmer secret`: keys, by name. No call gives a value back.

mod delete;
mod list;
mod set;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::printer::Printer;

/// Keys of providers, by name; a value never comes back
#[derive(clap::Args)]
pub(crate) struct SecretCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    Set(set::SetCommand),
    List(list::ListCommand),
    Delete(delete::DeleteCommand),
}

impl SecretCommand {
    /// Runs the verb.
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Set(command) => command.execute(printer),
            Verb::List(command) => command.execute(printer),
            Verb::Delete(command) => command.execute(printer),
        }
    }
}
