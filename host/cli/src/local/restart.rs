//! `stigmer local restart`.

use std::process::ExitCode;

use super::start::StartFlags;
use crate::banner;
use crate::begin::{Keys, begin};
use crate::context::Context;
use crate::ending::{self, Ended};
use crate::failure::Failure;
use crate::printer::Printer;

/// Stops the daemon and starts it again
///
/// Executions that ran are parked and go on from their journal.
#[derive(clap::Args)]
pub(crate) struct RestartCommand {
    #[command(flatten)]
    flags: StartFlags,
}

impl RestartCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let mut context = Context::gather(&self.flags.to_flags())?;
        context.sandbox()?;
        if let Ended::Stopped { parked } = ending::stop(&context.person.stigmer_home, printer)? {
            printer.line(format_args!("stopped; {parked} executions parked"));
        }
        let begun = begin(&mut context, Keys::Find, printer)?;
        banner::print(&context, &begun, printer);
        Ok(ExitCode::SUCCESS)
    }
}
