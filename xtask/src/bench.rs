//! The benches.

use anyhow::{Result, bail};

use crate::{build, process};

/// `cargo xtask bench [NAME] [-- CRITERION_ARGS]`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (names, rest) = match args.iter().position(|arg| arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[][..]),
    };
    let pattern = match names {
        [] => "*",
        [name] => name,
        _ => bail!("takes at most one name"),
    };
    let guests = build::everything()?;
    // What is measured is what people get.
    process::run(process::cargo().args(["build", "--quiet", "--release", "--package", "stigmer"]))?;
    let mut command = process::cargo();
    command.args(["bench", "--workspace", "--bench", pattern]).envs(guests.variables());
    command.env("STIGMER_BIN", crate::place::target().join("release/stigmer"));
    if !rest.is_empty() {
        command.arg("--").args(rest);
    }
    process::run(&mut command)
}
