//! `stigmer local stop`.

use std::process::ExitCode;

use crate::ending::{self, Ended};
use crate::failure::Failure;
use crate::person;
use crate::printer::Printer;

/// Stops the daemon and everything that it started
///
/// Executions that run are parked and go on at the next start.
#[derive(clap::Args)]
pub(crate) struct StopCommand {}

impl StopCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        match ending::stop(&person::gather()?.stigmer_home, printer)? {
            Ended::NotRunning => printer.line(format_args!("no daemon was running")),
            Ended::Stopped { parked: 0 } => printer.line(format_args!("stopped")),
            Ended::Stopped { parked } => {
                let (what, go) = if parked == 1 { ("execution is", "goes") } else { ("executions are", "go") };
                printer.line(format_args!("stopped; {parked} {what} parked and {go} on at the next start"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
