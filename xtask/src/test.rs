//! `cargo xtask test`: all that must hold before a change is taken.

mod edges;
mod lengths;
mod nobody;
mod suites;
mod tally;

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::guests::{self, Guests};
use crate::{build, place, process, wasm_target};
use tally::Tally;

/// `cargo xtask test [--long]`.
///
/// # Errors
/// Names the first check that failed; tests are all run before it says so.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let long = match args {
        [] => false,
        [flag] if flag == "--long" => true,
        _ => bail!("takes `--long` and nothing else"),
    };
    step("format", format)?;
    step("file lengths", || lengths::check(&place::root()))?;
    step("architecture", edges::check)?;
    let guests = step("build", build::everything)?;
    step("lints", lints)?;
    step("docs", docs)?;
    let mut tally = Tally::default();
    step("tests", || suites::run(&guests, long, &mut tally))?;
    if process::is_root() {
        step("tests as an ordinary user", || nobody::run(&guests, long, &mut tally))?;
    } else {
        tally.skip("tests as an ordinary user", "this is one already");
    }
    tally.report()
}

fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("── {name}");
    let started = Instant::now();
    let done = work().map_err(|error| error.context(format!("{name} failed")))?;
    eprintln!("   {:.1} s", started.elapsed().as_secs_f64());
    Ok(done)
}

fn format() -> Result<()> {
    process::run(process::cargo().args(["fmt", "--all", "--check"]))?;
    for workspace in guests::workspaces() {
        process::run(process::cargo().args(["fmt", "--all", "--check"]).current_dir(workspace))?;
    }
    Ok(())
}

fn lints() -> Result<()> {
    let clippy = |extra: &[&str]| {
        let mut command = process::cargo();
        command.args(["clippy", "--quiet", "--workspace"]).args(extra).args(["--", "-D", "warnings"]);
        command
    };
    process::run(&mut clippy(&["--all-targets"]))?;
    // Not their tests: those run natively, and the target may have no test harness.
    for workspace in guests::workspaces() {
        process::run(in_guests(clippy(&["--target", wasm_target::TARGET]).current_dir(workspace)))?;
    }
    Ok(())
}

fn docs() -> Result<()> {
    process::run(
        process::cargo().args(["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Components have a build folder of their own: their workspace's profile differs.
fn in_guests(command: &mut Command) -> &mut Command {
    command.env("CARGO_TARGET_DIR", place::target().join("guests"))
}

/// What every test process is told, beside what cargo tells it.
fn variables(guests: &Guests, long: bool) -> Vec<(&'static str, std::ffi::OsString)> {
    let mut all: Vec<_> = guests.variables().map(|(name, path)| (name, path.as_os_str().to_owned())).into();
    all.push(("STIGMER_BIN", place::product().into_os_string()));
    all.extend(guests::long_variable(long).map(|(name, value)| (name, value.into())));
    all
}
