//! `stigmer execution follow`.

use std::process::ExitCode;

use super::newest::named_or_newest;
use crate::client;
use crate::failure::Failure;
use crate::follow::{Follow, Format, Interrupt, follow};
use crate::person;
use crate::printer::Printer;

/// Shows an execution from its beginning and goes on until it ends; answers what it asks
///
/// Ctrl-C stops following; the execution goes on.
#[derive(clap::Args)]
pub(crate) struct FollowCommand {
    /// The execution; the newest when left out
    execution: Option<String>,
    /// How the stream is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output_format: Format,
}

impl FollowCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let home = person::gather()?.stigmer_home;
        client::runtime()?.block_on(async {
            let mut daemon = client::required(&home).await?;
            let what = Follow {
                execution: named_or_newest(&mut daemon, self.execution).await?,
                format: self.output_format,
                asks: self.output_format == Format::Text && crate::provider::person_is_there(),
                scripted: false,
                cancels: false,
            };
            follow(what, daemon, Interrupt::watch()?, printer).await
        })
    }
}
