//! Runs every test of the workspace, and those of the component workspaces.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::tally::Tally;
use super::{in_guests, variables};
use crate::guests::{self, Guests};
use crate::{place, process};

/// Runs all of them, also after a failure; failures are in the tally.
///
/// # Errors
/// Something did not compile, or the runner itself failed.
pub(super) fn run(guests: &Guests, long: bool, tally: &mut Tally) -> Result<()> {
    let has_nextest = process::exists("cargo-nextest");
    if has_nextest {
        nextest(guests, long, tally)?;
    } else {
        for suite in compiled()?.suites {
            suite.run(suite.command().envs(variables(guests, long)), "", tally)?;
        }
    }
    captured(process::cargo().args(["test", "--workspace", "--doc", "--", "--show-output"]), "docs ", tally)?;
    for workspace in guests::workspaces() {
        let args = ["test", "--workspace", "--lib", "--", "--show-output"];
        captured(in_guests(process::cargo().args(args).current_dir(workspace)), "component ", tally)?;
    }
    Ok(())
}

/// nextest gives each test a process of its own. Its report is read for counts, names and skips.
fn nextest(guests: &Guests, long: bool, tally: &mut Tally) -> Result<()> {
    let made = place::made();
    std::fs::create_dir_all(&made)?;
    let report = made.join("nextest.xml");
    let config = made.join("nextest.toml");
    let path = serde_json::to_string(&report.to_string_lossy())?;
    std::fs::write(
        &config,
        format!("[profile.default.junit]\npath = {path}\nstore-success-output = true\nstore-failure-output = true\n"),
    )?;
    if report.exists() {
        std::fs::remove_file(&report)?;
    }
    let status = process::cargo()
        .args(["nextest", "run", "--workspace", "--no-fail-fast", "--hide-progress-bar", "--status-level", "slow"])
        .args(["--final-status-level", "fail", "--no-tests", "pass", "--tool-config-file"])
        .arg(format!("xtask:{}", config.display()))
        .envs(variables(guests, long))
        .stdin(Stdio::null())
        .status()
        .context("could not start nextest")?;
    if !report.exists() {
        bail!("nextest ended with {status} before any test ran");
    }
    let before = tally.failures();
    tally.collect_junit(&std::fs::read_to_string(&report)?);
    if !status.success() && tally.failures() == before {
        bail!("nextest ended with {status} without naming a test");
    }
    for suite in compiled()?.suites {
        let listed = process::text(suite.command().args(["--list", "--ignored", "--format", "terse"]))?;
        for test in listed.lines().filter_map(|line| line.strip_suffix(": test")) {
            tally.skip(&format!("{} {test}", suite.name), "ignored");
        }
    }
    Ok(())
}

/// One compiled test program.
pub(super) struct Suite {
    /// Package and target.
    pub(super) name: String,
    pub(super) executable: PathBuf,
    /// Folder of the package: where cargo would start it.
    pub(super) package: PathBuf,
}

impl Suite {
    /// Starts it as cargo would.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.current_dir(&self.package).env("CARGO_MANIFEST_DIR", &self.package).stdin(Stdio::null());
        command
    }

    /// Runs `command`, which is this suite's, and counts.
    ///
    /// # Errors
    /// It could not be started, or failed without naming a test.
    pub(super) fn run(&self, command: &mut Command, run: &str, tally: &mut Tally) -> Result<()> {
        captured(command.arg("--show-output"), &format!("{run}{} ", self.name), tally)
    }
}

/// What the tests of the workspace consist of.
#[derive(Default)]
pub(super) struct Compiled {
    pub(super) suites: Vec<Suite>,
    /// Programs that suites start, by the name after `CARGO_BIN_EXE_`.
    pub(super) programs: Vec<(String, PathBuf)>,
}

/// Compiles all test programs of the workspace, and the programs that they start.
pub(super) fn compiled() -> Result<Compiled> {
    let mut command = process::cargo();
    command.args(["test", "--workspace", "--no-run", "--quiet", "--lib", "--bins", "--tests"]);
    command.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    let output = command.stdin(Stdio::null()).output().context("could not start cargo")?;
    if !output.status.success() {
        bail!("the tests do not compile");
    }
    let mut found = Compiled::default();
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: Value = serde_json::from_str(line).context("cargo printed what is not JSON")?;
        let Some(executable) = message["executable"].as_str().map(PathBuf::from) else { continue };
        let target = message["target"]["name"].as_str().unwrap_or_default().to_owned();
        if message["profile"]["test"] != true {
            found.programs.push((target, executable));
            continue;
        }
        let manifest = Path::new(message["manifest_path"].as_str().unwrap_or_default());
        let package = manifest.parent().context("a manifest lies in a folder")?.to_owned();
        let folder = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.suites.push(Suite { name: format!("{folder}::{target}"), executable, package });
    }
    Ok(found)
}

/// Runs libtest programs and counts what they print; what they print is shown only when something failed.
fn captured(command: &mut Command, run: &str, tally: &mut Tally) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("could not start {run}"))?;
    let text = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let before = tally.failures();
    tally.collect_libtest(run, &text);
    if !output.status.success() {
        eprintln!("{text}");
        if tally.failures() == before {
            tally.fail(format!("{run}(ended with {})", output.status));
        }
    }
    Ok(())
}
