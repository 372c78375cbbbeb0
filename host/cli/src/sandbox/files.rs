//! `stigmer sandbox put|get|ls|grep`: the agent's file tools, run in the jail like a command, so that a path means what
//! it means to a command.

mod verbs;

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use stigmer_policy::{JailPath, RootKind};
use stigmer_sandbox::message::{Ended, FromInit, Job};

use super::walls::{Standing, Walls};
use crate::failure::Failure;
use crate::printer::Printer;

pub(crate) use verbs::JOBS;

/// Writes stdin to a file inside the walls
///
/// Makes missing folders and replaces an existing file in one step.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  echo hello | stigmer sandbox put notes/today.txt")]
pub(crate) struct PutCommand {
    #[command(flatten)]
    walls: Walls,
    /// Relative to the root, or absolute as a command sees it
    path: PathBuf,
}

/// Writes a file inside the walls to stdout
#[derive(clap::Args)]
pub(crate) struct GetCommand {
    #[command(flatten)]
    walls: Walls,
    /// Relative to the root, or absolute as a command sees it
    path: PathBuf,
}

/// Lists a folder inside the walls, one name a line
#[derive(clap::Args)]
pub(crate) struct LsCommand {
    #[command(flatten)]
    walls: Walls,
    /// Relative to the root, or absolute as a command sees it
    #[arg(default_value = ".")]
    path: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Searches files inside the walls for a text
#[derive(clap::Args)]
pub(crate) struct GrepCommand {
    #[command(flatten)]
    walls: Walls,
    /// Text to search for, as it stands
    pattern: String,
    /// File or folder, relative to the root or absolute as a command sees it
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Take the pattern as a regular expression
    #[arg(long)]
    regex: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

impl PutCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let standing = self.walls.start(printer)?;
        let path = resolve(&standing, "put", &self.path)?;
        let in_scratch = standing.policy.root_of(&path).is_some_and(|root| root.kind == RootKind::Scratch);
        if in_scratch && standing.scratch_ends {
            return Err(Failure::said_no(anyhow::anyhow!(
                "put: `{path}` lies in scratch and would not outlive this call; keep scratch with `--scratch DIR`"
            )));
        }
        run(&standing, "put", vec![text(&path)])
    }
}

impl GetCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let standing = self.walls.start(printer)?;
        let path = resolve(&standing, "get", &self.path)?;
        run(&standing, "get", vec![text(&path)])
    }
}

impl LsCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let standing = self.walls.start(printer)?;
        let path = resolve(&standing, "ls", &self.path)?;
        run(&standing, "ls", vec![text(&path), flag(self.json)])
    }
}

impl GrepCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let standing = self.walls.start(printer)?;
        let path = resolve(&standing, "grep", &self.path)?;
        run(&standing, "grep", vec![text(&path), self.pattern.into(), flag(self.regex), flag(self.json)])
    }
}

fn resolve(standing: &Standing, verb: &str, path: &std::path::Path) -> Result<JailPath, Failure> {
    JailPath::from_base(&standing.workspace, path)
        .with_context(|| format!("{verb}: cannot use `{}`", path.display()))
        .map_err(Failure::said_no)
}

fn text(path: &JailPath) -> OsString {
    path.as_path().as_os_str().to_owned()
}

fn flag(on: bool) -> OsString {
    OsStr::from_bytes(if on { b"1" } else { b"0" }).to_owned()
}

/// Runs one job in the jail on this process's own streams.
fn run(standing: &Standing, name: &str, arguments: Vec<OsString>) -> Result<ExitCode, Failure> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let job = Job { name: name.to_owned(), arguments: arguments.into_iter().map(OsString::into_vec).collect() };
    standing.jail.job(1, job, [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]).context("could not reach the jail")?;
    loop {
        match standing.jail.next().context("the jail ended before its work")? {
            FromInit::Ended(_, report) => {
                return match report.ended {
                    Ended::Code(code) => Ok(ExitCode::from(u8::try_from(code & 0xff).expect("masked to eight bits"))),
                    other => Err(Failure::ours(anyhow::anyhow!("{name}: its process ended early: {other:?}"))),
                };
            }
            FromInit::NotStarted(_, failure) => {
                return Err(Failure::ours(anyhow::Error::from(failure).context(format!("{name}: could not start"))));
            }
            _ => {}
        }
    }
}
