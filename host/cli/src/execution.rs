//! `stigmer execution`: what ran, what runs, what waits.

mod answer;
mod cancel;
mod follow;
mod list;
mod newest;
mod prune;
mod record;
mod show;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::printer::Printer;

pub(crate) use record::record_json;

/// What ran, what runs and what waits for an answer
#[derive(clap::Args)]
pub(crate) struct ExecutionCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    List(list::ListCommand),
    Show(show::ShowCommand),
    Follow(follow::FollowCommand),
    Cancel(cancel::CancelCommand),
    Prune(prune::PruneCommand),
    /// Lets a waiting call go on
    Approve(answer::AnswerCommand),
    /// Refuses a waiting call; the agent is told
    Deny(answer::AnswerCommand),
}

impl ExecutionCommand {
    /// Runs the verb.
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::List(command) => command.execute(printer),
            Verb::Show(command) => command.execute(printer),
            Verb::Follow(command) => command.execute(printer),
            Verb::Cancel(command) => command.execute(printer),
            Verb::Prune(command) => command.execute(printer),
            Verb::Approve(command) => command.execute(true, printer),
            Verb::Deny(command) => command.execute(false, printer),
        }
    }
}
