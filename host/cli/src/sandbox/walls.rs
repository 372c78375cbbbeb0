//! The flags that every `sandbox` verb takes, and the jail that comes of them.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use anyhow::Context;
use stigmer_policy::{JailPath, Level, Policy, promise};
use stigmer_sandbox::jail::facts::Identity;
use stigmer_sandbox::jail::plan::Plan;
use stigmer_sandbox::message::{CommandMode, Setup};
use stigmer_sandbox::prepare::{self, Environment, Folders, Person, RunFolder};
use stigmer_sandbox::start::{Begun, Jail, Launch, StartError};

use crate::failure::Failure;
use crate::jobs;
use crate::person;
use crate::printer::Printer;
use crate::project;
use crate::refusal::{Refusal, refused};

/// Which walls, around what.
#[derive(clap::Args)]
pub(crate) struct Walls {
    /// Folder to work in; the current one when left out [env: SANDBOX_ROOT_DIR]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Folder that keeps scratch (/tmp at full level) between calls; made when missing
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Policy document; the built-in `workspace` profile when left out
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Kind of sandbox
    #[arg(long, value_enum, default_value_t = SandboxKind::Wasi)]
    sandbox: SandboxKind,
    /// Level of `wasi`; the best that this machine holds when left out
    #[arg(long, value_enum)]
    level: Option<LevelName>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum SandboxKind {
    /// Jail, cap-std files, WASI
    Wasi,
    /// cap-std files and WASI only; commands are not confined
    Filesystem,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LevelName {
    /// Namespaces, own mounts, Landlock, system-call filter
    Full,
    /// Landlock and system-call filter
    Base,
}

/// A jail that stands, with all that a verb needs.
pub(crate) struct Standing {
    pub(crate) jail: Jail,
    pub(crate) workspace: JailPath,
    pub(crate) environment: Environment,
    pub(crate) policy: Policy,
    /// Scratch lives for this call only.
    pub(crate) scratch_ends: bool,
    // Removed after the jail is gone: fields are dropped in order.
    run: Option<RunFolder>,
}

impl Drop for Standing {
    fn drop(&mut self) {
        if let (Some(run), true) = (&self.run, self.jail.is_lost()) {
            run.end_left();
        }
    }
}

impl Walls {
    /// Starts the jail that the flags describe. Without `--level` the next weaker level is tried when the machine cannot
    /// hold the stronger one, and said.
    pub(crate) fn start(&self, printer: &Printer) -> Result<Standing, Failure> {
        let person = person::gather()?;
        let levels: &[Level] = match (self.sandbox, self.level) {
            (SandboxKind::Filesystem, None) => &[Level::Filesystem],
            (SandboxKind::Filesystem, Some(_)) => {
                return Err(Failure::usage(anyhow::anyhow!("`--level` belongs to `--sandbox wasi`")));
            }
            (SandboxKind::Wasi, Some(LevelName::Full)) => &[Level::Full],
            (SandboxKind::Wasi, Some(LevelName::Base)) => &[Level::Base],
            (SandboxKind::Wasi, None) => &[Level::Full, Level::Base],
        };
        let mut refusals: Vec<Refusal> = Vec::new();
        for level in levels {
            match self.start_at(*level, &person) {
                Ok(standing) => {
                    if self.policy.is_none() {
                        project::say_unread(standing.workspace.as_path(), printer);
                    }
                    for refusal in &refusals {
                        printer.note(format_args!("using level `{}`: {}", level.name(), refusal.reason()));
                    }
                    if standing.jail.partial() {
                        printer.note(format_args!(
                            "the folder is too large to be searched whole for protected paths: those that lie deepest are \
                             not held"
                        ));
                    }
                    return Ok(standing);
                }
                Err(Refused::Here(refusal)) => refusals.push(refusal),
                Err(Refused::Failed(failure)) => return Err(failure),
            }
        }
        Err(refused(&refusals))
    }

    #[expect(clippy::disallowed_methods, reason = "the variable stands for the flag")]
    fn root(&self) -> PathBuf {
        let variable = || std::env::var_os("SANDBOX_ROOT_DIR").filter(|value| !value.is_empty()).map(PathBuf::from);
        self.root.clone().or_else(variable).unwrap_or_else(|| PathBuf::from("."))
    }

    fn start_at(&self, level: Level, person: &Person) -> Result<Standing, Refused> {
        // Still one thread: no second start of the executable is needed. First of all: the kernel makes namespaces
        // meanwhile.
        let begun = Jail::begin(&Launch::Clone(jobs::JOBS), level, &[]).map_err(Failure::ours)?;
        let workspace = prepare::check_workspace(&self.root(), person).map_err(|error| {
            let hint = error.hint();
            Failure::usage(error).hint(hint)
        })?;
        let workspace = JailPath::absolute(&workspace).map_err(Failure::usage)?;
        let scratch = self.scratch()?;
        let run = match level {
            Level::Full => None,
            Level::Base | Level::Filesystem => {
                let id = format!("exec-{}", ulid::Ulid::new());
                let folder = RunFolder::create(&person.stigmer_home, &id)
                    .with_context(|| format!("could not make a folder in `{}`", person.stigmer_home.display()))
                    .map_err(Failure::ours)?;
                Some(folder)
            }
        };
        let mut folders = Folders::of(level, person, run.as_ref().map_or(&person.stigmer_home, |run| run.path()))
            .map_err(Failure::ours)?;
        if let (Some((path, _)), true) = (&scratch, level != Level::Full) {
            folders.scratch = JailPath::absolute(path).map_err(Failure::usage)?;
        }
        let policy = self.policy(&workspace, &folders, person)?;
        let root = rustix::process::geteuid().is_root();
        if let Some(refusal) = Refusal::unheld(level, promise::unheld(&policy, level, root, &[])) {
            return Err(Refused::Here(refusal));
        }
        let plan = prepare::plan(&policy, level, person, scratch.clone()).map_err(Failure::usage)?;
        if level != Level::Full {
            RunFolder::write(&plan.home_files).context("could not fill the home of commands")?;
        }
        let environment = Environment::of(&policy, level, person, &folders);
        let scratch_ends = scratch.is_none();
        let jail = stand(begun, plan, &policy)?;
        Ok(Standing { jail, workspace, environment, policy, scratch_ends, run })
    }

    fn scratch(&self) -> Result<Option<(PathBuf, Identity)>, Failure> {
        let Some(folder) = &self.scratch else { return Ok(None) };
        let path = prepare::scratch_folder(folder)
            .and_then(|path| std::fs::metadata(&path).map(|metadata| (path, metadata)))
            .with_context(|| format!("cannot use `{}` as scratch", folder.display()))
            .map_err(Failure::usage)?;
        let (path, metadata) = path;
        Ok(Some((path, Identity { device: metadata.dev(), inode: metadata.ino() })))
    }

    #[expect(clippy::disallowed_methods, reason = "the document that the person named")]
    fn policy(&self, workspace: &JailPath, folders: &Folders, person: &Person) -> Result<Policy, Failure> {
        let places = prepare::places(workspace, folders, person, Vec::new()).map_err(Failure::usage)?;
        let Some(file) = &self.policy else { return Ok(Policy::workspace(&places)) };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the policy `{}`", file.display()))
            .map_err(Failure::usage)?;
        stigmer_policy::Document::parse(&text)
            .and_then(|document| document.check(&places))
            .with_context(|| format!("the policy `{}` cannot be used", file.display()))
            .map_err(Failure::usage)
    }
}

/// Why a level does not stand.
enum Refused {
    /// This machine cannot hold it; a weaker one may do.
    Here(Refusal),
    /// Something else.
    Failed(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        Refused::Failed(failure)
    }
}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Refused {
        Refused::Failed(Failure::ours(error))
    }
}

fn stand(begun: Begun, plan: Plan, policy: &Policy) -> Result<Jail, Refused> {
    let level = plan.level;
    let setup = Setup { plan, mode: CommandMode::Free, runner: None, spare: false, left_out: Vec::new() };
    begun.stand(setup, &[]).map_err(|error| match error {
        StartError::Setup(failure) => Refused::Here(Refusal::not_built(level, policy, failure)),
        error => Refused::Failed(Failure::ours(error)),
    })
}
