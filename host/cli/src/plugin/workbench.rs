//! What both verbs stand on: jails, and the cache of compiled code.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use stigmer_daemon::Home;
use stigmer_daemon::jails::Jails;
use stigmer_daemon::workshop::{Component, Parts, Workshop, WorkshopError};
use stigmer_policy::{JailPath, Level, Places, Policy};
use stigmer_sandbox::message::{CommandMode, Setup};
use stigmer_sandbox::prepare::{self, Folders, Person, RunFolder};
use stigmer_sandbox::start::{Jail, Launch, StartError};

use crate::failure::Failure;
use crate::printer::Printer;
use crate::refusal::{self, Refusal};
use crate::settings::{Key, SandboxConfig};
use crate::{context, engine};

/// Which walls.
#[derive(clap::Args)]
pub(super) struct WallFlags {
    /// Kind of sandbox: `wasi` or `filesystem`
    #[arg(long, value_name = "KIND")]
    sandbox: Option<String>,
    /// Level of `wasi`: `full` or `base`; the best that this machine holds when left out
    #[arg(long)]
    level: Option<String>,
}

/// Jails at a level that stands, and a workshop in them.
pub(super) struct Workbench {
    pub(super) person: Person,
    pub(super) home: Home,
    pub(super) level: Level,
    pub(super) workshop: Workshop,
}

impl Workbench {
    /// Finds the level by building a jail at it; must be called while the process has one thread.
    pub(super) fn open(flags: &WallFlags, printer: &Printer) -> Result<Workbench, Failure> {
        let pairs = [(Key::Sandbox, flags.sandbox.clone()), (Key::Level, flags.level.clone())];
        let typed = pairs.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let context = context::Context::gather(&typed)?;
        let config = context.sandbox()?;
        let home = Home::open(&context.person.stigmer_home)
            .context("cannot use the folder of stigmer's own state")
            .map_err(|error| Failure::ours(error).hint(Some("name a folder by STIGMER_HOME".to_owned())))?;
        let person = Person { stigmer_home: home.path().to_owned(), ..context.person };
        let level = standing(&config, &person, printer)?;
        let jails = Arc::new(Jails::new(person.clone()).context("could not open our own executable")?);
        let parts =
            Parts { home: home.clone(), person: person.clone(), jails, level, compatibility: engine::compatibility()? };
        let workshop = Workshop::new(parts).context("could not open the cache of compiled code")?;
        Ok(Workbench { person, home, level, workshop })
    }
}

/// The first level whose jail can be built here.
fn standing(config: &SandboxConfig, person: &Person, printer: &Printer) -> Result<Level, Failure> {
    let mut refusals: Vec<Refusal> = Vec::new();
    for level in config.levels() {
        match build(*level, person)? {
            None => {
                for refusal in &refusals {
                    printer.note(format_args!("using level `{}`: {}", level.name(), refusal.reason()));
                }
                return Ok(*level);
            }
            Some(refusal) => refusals.push(refusal),
        }
    }
    Err(refusal::refused(&refusals))
}

/// Builds a jail of `level` and takes it down again; why it does not stand, where it does not.
fn build(level: Level, person: &Person) -> anyhow::Result<Option<Refusal>> {
    let run = RunFolder::create(&person.stigmer_home, &format!("try-{}", ulid::Ulid::new()))?;
    let folders = Folders::of(level, person, run.path())?;
    // Scratch and home lie in the folder at some levels; the workspace must be another one.
    let workspace = JailPath::absolute(run.path().join("try"))?;
    std::fs::create_dir(workspace.as_path())?;
    let policy = Policy::read_only(&Places::new(workspace, folders.scratch, folders.home));
    let plan = prepare::plan(&policy, level, person, None)?;
    let setup = Setup { plan, mode: CommandMode::Released, runner: None, spare: false, left_out: Vec::new() };
    match Jail::start(&Launch::Clone(crate::jobs::JOBS), setup, &[]) {
        Ok(jail) => {
            jail.end();
            Ok(None)
        }
        Err(StartError::Setup(failure)) => Ok(Some(Refusal::not_built(level, &policy, failure))),
        Err(error) => Err(error.into()),
    }
}

/// Reads a component's file.
pub(super) fn component(file: &Path) -> Result<Component, Failure> {
    Component::read(file).map_err(Failure::usage)
}

/// A file that is no component is the caller's mistake; anything else is ours.
pub(super) fn refused(file: &Path, error: WorkshopError) -> Failure {
    match &error {
        WorkshopError::Component(reason) => {
            Failure::usage(anyhow::anyhow!("`{}` cannot be used: {reason}", file.display()))
        }
        _ => Failure::ours(anyhow::Error::from(error).context(format!("could not work on `{}`", file.display()))),
    }
}
