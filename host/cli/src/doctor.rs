//! `stigmer doctor`: what this machine can enforce, proved by live probes.

mod report;

use std::os::unix::fs::DirBuilderExt;
use std::process::ExitCode;

use anyhow::Context;
use stigmer_policy::{JailPath, Level, Places, Policy};
use stigmer_sandbox::prepare::Person;
use stigmer_sandbox::probe::{self, Trial, advice::Machine};

use crate::failure::{self, Failure};
use crate::person;
use crate::printer::Printer;
use report::Report;

/// Says what this machine can enforce, proved by trying
///
/// Every forbidden act is tried inside the walls and, to show that it would work at all, outside them, against witnesses
/// made for it. Exits with 0 when the built-in policy is held at some level, else with 3.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  stigmer doctor\n  stigmer doctor --level base --json")]
pub(crate) struct DoctorCommand {
    /// One JSON object with every act that was tried
    #[arg(long)]
    json: bool,
    /// Only this level; all when left out
    #[arg(long, value_enum)]
    level: Option<LevelName>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LevelName {
    /// Namespaces, own mounts, Landlock, system-call filter
    Full,
    /// Landlock and system-call filter
    Base,
}

impl DoctorCommand {
    /// Runs the probes and prints what they found.
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let person = person::gather()?;
        let levels: &[Level] = match self.level {
            None => &[Level::Full, Level::Base],
            Some(LevelName::Full) => &[Level::Full],
            Some(LevelName::Base) => &[Level::Base],
        };
        let folder = person.stigmer_home.join("run");
        let mut builder = std::fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("could not make `{}`", folder.display()))?;
        let trials: Vec<_> = levels.iter().map(|level| Trial::of(*level)).collect();
        let proofs = probe::prove(&person, &folder, &trials).context("could not run the probes")?;
        let report = Report::new(&policy(&person)?, Machine::look(), levels.iter().copied().zip(proofs));
        if self.json {
            let text = serde_json::to_string_pretty(&report).context("could not write the report as JSON")?;
            printer.line(format_args!("{text}"));
        } else {
            report.print(printer);
        }
        Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(failure::OURS) })
    }
}

/// The built-in policy: what it asks of the promises does not depend on where its folders are.
fn policy(person: &Person) -> Result<Policy, Failure> {
    let path = |path: &std::path::Path| JailPath::absolute(path).context("the home folder is no path for a jail");
    let places = Places::new(path(&person.home)?, path("/tmp".as_ref())?, path(&person.home)?);
    Ok(Policy::workspace(&places))
}
