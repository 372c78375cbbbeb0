//! What the build costs: crates in the binary, seconds of check and link after a small change.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};

use crate::{place, process};

/// Crates that the product may be made of.
const CRATES: usize = 420;
/// CPU seconds of a dev build from nothing.
const COLD_SECONDS: f64 = 700.0;
/// Seconds of `cargo check` after a change in one crate.
const CHECK_SECONDS: f64 = 3.0;
/// Seconds of build and link after a change in one crate.
const LINK_SECONDS: f64 = 8.0;
/// Crates whose change is timed: one that others stand on, one of the middle, the outermost.
const CHANGED: [&str; 3] = ["host/plugin/src/lib.rs", "host/daemon/src/lib.rs", "host/cli/src/main.rs"];

/// `cargo xtask budget [--cold]`.
///
/// # Errors
/// A number is above its bound, after all are printed.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let cold = match args {
        [] => false,
        [flag] if flag == "--cold" => true,
        _ => bail!("takes `--cold` and nothing else"),
    };
    let mut above = 0;
    let mut print = |what: &str, value: f64, bound: f64| {
        let verdict = if value <= bound { "ok" } else { "ABOVE" };
        above += usize::from(value > bound);
        println!("{what:<44} {value:>8.1}   at most {bound:>6.0}   {verdict}");
    };
    #[expect(clippy::cast_precision_loss, reason = "hundreds")]
    print("crates in the binary", crates()? as f64, CRATES as f64);
    if cold {
        print("CPU seconds of a dev build from nothing", cold_build()?, COLD_SECONDS);
    }
    let (check, link) = (["check", "--quiet", "--package", "stigmer"], ["build", "--quiet", "--package", "stigmer"]);
    for file in CHANGED {
        print(&format!("seconds to check after {file}"), after_change(file, &check)?, CHECK_SECONDS);
        print(&format!("seconds to build and link after {file}"), after_change(file, &link)?, LINK_SECONDS);
    }
    if above > 0 {
        bail!("{above} number(s) above the bound");
    }
    Ok(())
}

/// Different crates that the product is linked from, its own included, proc macros and build scripts left out.
fn crates() -> Result<usize> {
    let args = ["tree", "--package", "stigmer", "--edges", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe"];
    let listed = process::text(process::cargo().args(args))?;
    Ok(listed.lines().map(|line| line.split(" (").next().unwrap_or(line).trim()).collect::<BTreeSet<_>>().len())
}

fn after_change(file: &str, task: &[&str]) -> Result<f64> {
    process::run(process::cargo().args(task))?;
    let path = place::root().join(file);
    let handle = fs::File::options().append(true).open(&path).with_context(|| format!("could not open `{file}`"))?;
    // A newer time is what cargo sees of a change; the text stays as it is.
    handle.set_modified(SystemTime::now() + Duration::from_secs(1))?;
    let started = Instant::now();
    process::run(process::cargo().args(task))?;
    let taken = started.elapsed().as_secs_f64();
    handle.set_modified(SystemTime::now())?;
    Ok(taken)
}

fn cold_build() -> Result<f64> {
    let folder = place::TempFolder::new("cold")?;
    let before = children_seconds()?;
    let args = ["build", "--quiet", "--package", "stigmer"];
    process::run(process::cargo().args(args).env("CARGO_TARGET_DIR", folder.path()))?;
    Ok(children_seconds()? - before)
}

/// CPU time of ended children: fields 16 and 17 of proc_pid_stat(5), in ticks of 1/100 s (fixed for user space).
fn children_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("`/proc/self/stat` has a name in brackets")?;
    let ticks = fields.split_whitespace().skip(13).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}
