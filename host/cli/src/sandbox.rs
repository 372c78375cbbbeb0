//! `stigmer sandbox`: the walls alone. The command line is the trusted half then; there is no daemon.

mod exec;
mod files;
mod walls;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::printer::Printer;

pub(crate) use files::JOBS;

/// The walls alone, without an agent
#[derive(clap::Args)]
pub(crate) struct SandboxCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    Exec(exec::ExecCommand),
    Put(files::PutCommand),
    Get(files::GetCommand),
    Ls(files::LsCommand),
    Grep(files::GrepCommand),
}

impl SandboxCommand {
    /// Runs the verb.
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Exec(command) => command.execute(printer),
            Verb::Put(command) => command.execute(printer),
            Verb::Get(command) => command.execute(printer),
            Verb::Ls(command) => command.execute(printer),
            Verb::Grep(command) => command.execute(printer),
        }
    }
}
