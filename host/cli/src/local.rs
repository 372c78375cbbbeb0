//! `stigmer local`: the daemon's life.

mod logs;
mod restart;
mod start;
mod status;
mod stop;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::printer::Printer;

/// The daemon on this machine
#[derive(clap::Args)]
pub(crate) struct LocalCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    Start(start::StartCommand),
    Stop(stop::StopCommand),
    Restart(restart::RestartCommand),
    Status(status::StatusCommand),
    Logs(logs::LogsCommand),
}

impl LocalCommand {
    /// Runs the verb.
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Start(command) => command.execute(printer),
            Verb::Stop(command) => command.execute(printer),
            Verb::Restart(command) => command.execute(printer),
            Verb::Status(command) => command.execute(printer),
            Verb::Logs(command) => command.execute(printer),
        }
    }
}
