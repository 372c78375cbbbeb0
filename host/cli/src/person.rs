//! Who calls: the one place that reads the environment of the command line.

use std::path::PathBuf;

use anyhow::Context;
use stigmer_sandbox::prepare::Person;

use crate::failure::Failure;

/// Gathers home, environment, `STIGMER_HOME` and our own executable.
///
/// # Errors
/// Without a home, or when our own executable cannot be found.
#[expect(clippy::disallowed_methods, reason = "settings are read here and travel from here")]
pub(crate) fn gather() -> Result<Person, Failure> {
    let environment: std::collections::BTreeMap<_, _> = std::env::vars_os().collect();
    let home = std::env::home_dir()
        .filter(|home| home.is_absolute())
        .context("cannot tell your home folder: HOME is not set to an absolute path")
        .map_err(|error| Failure::usage(error).hint(Some("set HOME to an absolute path".to_owned())))?;
    let stigmer_home = match environment.get(std::ffi::OsStr::new("STIGMER_HOME")) {
        Some(folder) if !folder.is_empty() => {
            std::path::absolute(folder).context("STIGMER_HOME is not a path").map_err(Failure::usage)?
        }
        _ => home.join(".stigmer"),
    };
    let executable: PathBuf = std::env::current_exe().context("cannot find our own executable")?;
    Ok(Person { home, environment, stigmer_home, executable })
}
