//! `stigmer run`.

mod earlier;
mod request;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::begin::{Keys, begin};
use crate::client::{self, failed};
use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Follow, Format, Interrupt};
use crate::printer::Printer;
use crate::settings::{Flags, Key};
use crate::{banner, follow};

/// Runs an agent on a folder
///
/// Starts a daemon when none runs. Exits with 0 when the agent is done, 1 when it failed or was cancelled, 2 for wrong
/// usage, 3 when something of ours failed. Ctrl-C cancels.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stigmer run -m 'What is in this folder?'\n  git diff | stigmer run -m - --approve deny\n  stigmer run --continue -m 'now fix it'\n  stigmer run -m 'profile orders.csv' --skill ./skills/table --output-format stream-json"
)]
pub(crate) struct RunCommand {
    /// What is to be done; `-` reads it from stdin
    #[arg(short, long)]
    message: String,
    /// Folder to work on; the current one when left out
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// Folder of a skill; may be given several times
    #[arg(long, value_name = "DIR")]
    skill: Vec<PathBuf>,
    /// Component whose exports become tools, `FILE[:ro]`; it gets the workspace and nothing else
    #[arg(long, value_name = "FILE")]
    plugin: Vec<String>,
    /// Who lets commands start; `ask` when a person sits at the terminal, else `deny`
    #[arg(long, value_enum)]
    approve: Option<Approve>,
    /// Provider: `anthropic`, `openai`, `openai-compatible`, `ollama`
    #[arg(long)]
    provider: Option<String>,
    /// Model of the provider, or `script:FILE` for a scripted one
    #[arg(long)]
    model: Option<String>,
    /// Kind of sandbox: `wasi` or `filesystem`; the daemon's when left out
    #[arg(long, value_name = "KIND")]
    sandbox: Option<String>,
    /// Level of `wasi`: `full` or `base`
    #[arg(long)]
    level: Option<String>,
    /// Policy document (TOML); the built-in policy when left out
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Goes on with the conversation of an execution of this workspace that has ended, with its skills, plugins, policy
    /// and model where none are named
    #[arg(long, value_name = "ID")]
    resume: Option<String>,
    /// As `--resume`, with the newest execution of this workspace
    #[arg(long = "continue", conflicts_with = "resume")]
    newest: bool,
    /// Most model turns
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_turns: Option<u32>,
    /// Most tokens, input and output together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_tokens: Option<u64>,
    /// How the stream is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output_format: Format,
}

/// Who lets commands start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Approve {
    /// A person, each time
    Ask,
    /// Nobody is asked
    Auto,
    /// None starts
    Deny,
}

impl RunCommand {
    /// Sends the request, shows what happens until it ends.
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let mut context = Context::gather(&self.flags())?;
        context.sandbox()?;
        crate::provider::check_endpoints(&context)?;
        let mut draft = request::Draft::new(&self, &context)?;
        if self.policy.is_none() {
            crate::project::say_unread(draft.workspace().as_ref(), printer);
        }
        let socket = client::socket(&context.person.stigmer_home);
        let begins = client::living(&socket)?.is_none();
        if begins {
            let keys = if draft.scripted() { Keys::Leave } else { Keys::Find };
            let begun = begin(&mut context, keys, printer)?;
            printer.note(format_args!("no daemon was running: started one (pid {})", begun.pid));
            if begun.proved.level == stigmer_policy::Level::Filesystem {
                printer.note(format_args!("commands are not confined (sandbox `filesystem`)"));
            }
            // The text says it at its head.
            if self.output_format != Format::Text {
                banner::open_promises(&begun.proved.not_prevented, printer);
            }
        }
        // The daemon was started at a level of its own; another one is proved as at a start, and named when it is not held.
        if !begins && self.level.is_some() {
            crate::standing::prove(&context.sandbox()?, &context.person, printer)?;
        }
        let runtime = client::runtime()?;
        let (mut daemon, known) = runtime.block_on(async {
            let mut daemon = client::connect(&socket).await?;
            if let Some(earlier) =
                earlier::find(&mut daemon, self.resume.as_deref(), self.newest, draft.workspace()).await?
            {
                draft.go_on_from(earlier, &mut context)?;
            }
            let known = request::Known::ask(&mut daemon).await?;
            Ok::<_, Failure>((daemon, known))
        })?;
        draft.settle(&mut context, &known, printer)?;
        // A start says it itself.
        if !begins && !draft.scripted() {
            crate::provider::warn_in_the_clear(&context, printer)?;
        }
        let (scripted, approve) = (draft.scripted(), draft.approve);
        runtime.block_on(async {
            // From here on Ctrl-C is ours: an execution that was asked for is cancelled, never left behind.
            let interrupt = Interrupt::watch()?;
            let reply = daemon.run(draft.into_request()).await;
            let reply = reply.map_err(|status| failed("could not start the execution", &status))?;
            let follow = Follow {
                execution: reply.into_inner().execution,
                format: self.output_format,
                asks: approve == Approve::Ask && crate::provider::person_is_there(),
                scripted,
                cancels: true,
            };
            follow::follow(follow, daemon, interrupt, printer).await
        })
    }

    fn flags(&self) -> Flags {
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
