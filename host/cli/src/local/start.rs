//! `stigmer local start`.

use std::path::PathBuf;
use std::process::ExitCode;

use stigmer_sandbox::prepare::check_workspace;

use crate::banner;
use crate::begin::{Keys, begin};
use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::{Flags, Key};

/// Starts the daemon in the background
///
/// Proves what the walls hold here, finds the provider and its key, and returns when the daemon answers. A second start
/// says so and changes nothing. Exits with 3 when this machine cannot hold what is asked.
#[derive(clap::Args)]
#[command(
    after_long_help = crate::settings::reference(),
    after_help = "Examples:\n  stigmer local start\n  stigmer local start --sandbox=wasi --level base\n  stigmer local start --provider ollama --model qwen3:8b"
)]
pub(crate) struct StartCommand {
    #[command(flatten)]
    flags: StartFlags,
}

/// Settings that can be typed.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct StartFlags {
    /// Kind of sandbox: `wasi` or `filesystem`
    #[arg(long, value_name = "KIND")]
    sandbox: Option<String>,
    /// Level of `wasi`: `full` or `base`; the best that this machine holds when left out
    #[arg(long)]
    level: Option<String>,
    /// Folder that agents work on
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// Provider: `anthropic`, `openai`, `openai-compatible`, `ollama`
    #[arg(long)]
    provider: Option<String>,
    /// Model of the provider
    #[arg(long)]
    model: Option<String>,
}

impl StartFlags {
    pub(crate) fn to_flags(&self) -> Flags {
        let workspace = self.workspace.as_ref().map(|path| path.to_string_lossy().into_owned());
        let pairs = [
            (Key::Sandbox, self.sandbox.clone()),
            (Key::Level, self.level.clone()),
            (Key::Workspace, workspace),
            (Key::Provider, self.provider.clone()),
            (Key::Model, self.model.clone()),
        ];
        pairs.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

impl StartCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let mut context = Context::gather(&self.flags.to_flags())?;
        let config = context.sandbox()?;
        if let Some(pid) = client::living(&client::socket(&context.person.stigmer_home))? {
            printer
                .line(format_args!("stigmer is running already (pid {}); nothing was changed", pid.as_raw_nonzero()));
            if !self.flags.to_flags().is_empty() {
                printer.hint(format_args!("`stigmer local restart`, with the same flags, takes new settings over"));
            }
            return Ok(ExitCode::SUCCESS);
        }
        // A workspace that was named must be usable; the default is wherever a run is typed.
        if self.flags.workspace.is_some() || context.variable("SANDBOX_ROOT_DIR").is_some() {
            check_workspace(&config.root, &context.person).map_err(|error| {
                let hint = error.hint();
                Failure::usage(error).hint(hint)
            })?;
        }
        let begun = begin(&mut context, Keys::Find, printer)?;
        banner::print(&context, &begun, printer);
        Ok(ExitCode::SUCCESS)
    }
}
