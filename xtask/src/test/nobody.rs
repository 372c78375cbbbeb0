//! Everything again as an ordinary user, because root passes where others are refused.
//!
//! The test programs, the product, the components and the sources that tests read are copied to a folder that all may
//! read; nothing in it names the folder where they were built.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::suites::{self, Suite};
use super::tally::Tally;
use crate::guests::{self, Guests};
use crate::{place, process};

/// `nobody` on Linux systems: nobody's files, nobody's processes.
const NOBODY: u32 = 65534;

/// Runs all test programs of the workspace as [`NOBODY`].
///
/// # Errors
/// The copy could not be made, or a program could not be started.
pub(super) fn run(guests: &Guests, long: bool, tally: &mut Tally) -> Result<()> {
    let compiled = suites::compiled()?;
    let copy = Copy::make(guests, compiled.programs)?;
    for suite in compiled.suites {
        if suite.package.ends_with("xtask") {
            continue; // it tests this tool, which needs the sources and cargo
        }
        let suite = copy.take(&suite)?;
        let mut command = suite.command();
        copy.confine(&mut command)?;
        command.envs(guests::long_variable(long));
        suite.run(&mut command, "as an ordinary user: ", tally)?;
    }
    Ok(())
}

struct Copy {
    folder: place::TempFolder,
    /// Names of the programs that suites start.
    programs: Vec<String>,
}

impl Copy {
    fn make(guests: &Guests, programs: Vec<(String, PathBuf)>) -> Result<Self> {
        let folder = place::TempFolder::new("nobody")?;
        let names = programs.iter().map(|(name, _)| name.clone()).collect();
        let copy = Copy { folder, programs: names };
        for (from, to) in [(&guests.components, "guests"), (&guests.skills, "skills")] {
            if from.is_dir() {
                place::copy_folder(from, &copy.inside(to))?;
            }
        }
        fs::create_dir_all(copy.inside("target/debug/deps"))?;
        for (name, program) in programs {
            let to = copy.inside("target/debug").join(&name);
            fs::copy(&program, to).with_context(|| format!("could not copy the program `{name}`"))?;
        }
        let root = place::root();
        let listed = process::text(
            Command::new("git")
                .args(["-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"])
                .current_dir(&root),
        )?;
        for name in listed.lines().filter(|name| root.join(name).is_file()) {
            let to = copy.inside("source").join(name);
            fs::create_dir_all(to.parent().expect("joined to a folder"))?;
            fs::copy(root.join(name), &to).with_context(|| format!("could not copy `{name}`"))?;
        }
        open_to_all(copy.folder.path())?;
        for name in ["home", "tmp"] {
            fs::create_dir(copy.inside(name))?;
            fs::set_permissions(copy.inside(name), fs::Permissions::from_mode(0o700))?;
            chown(copy.inside(name), Some(NOBODY), Some(NOBODY))?;
        }
        Ok(copy)
    }

    fn inside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The suite as it stands in the copy.
    fn take(&self, suite: &Suite) -> Result<Suite> {
        let name = suite.executable.file_name().context("an executable has a name")?;
        let executable = self.inside("target/debug/deps").join(name);
        fs::copy(&suite.executable, &executable).context("could not copy a test program")?;
        fs::set_permissions(&executable, fs::Permissions::from_mode(0o755))?;
        let package = suite.package.strip_prefix(place::root()).context("a package lies in the repository")?;
        Ok(Suite { name: suite.name.clone(), executable, package: self.inside("source").join(package) })
    }

    /// Gives the process the user, and of the environment only what it needs.
    fn confine(&self, command: &mut Command) -> Result<()> {
        let manifest = command.get_envs().find_map(|(name, value)| (name == "CARGO_MANIFEST_DIR").then_some(value?));
        let manifest = manifest.context("a suite names its package")?.to_owned();
        command.env_clear().env("CARGO_MANIFEST_DIR", manifest);
        for name in ["PATH", "LANG", "LC_ALL", "TERM", "CI", "RUST_BACKTRACE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", self.inside("home"))
            .env("TMPDIR", self.inside("tmp"))
            .env("USER", "nobody")
            .env("STIGMER_BIN", self.inside("target/debug/stigmer"))
            .env("STIGMER_GUESTS", self.inside("guests"))
            .env("STIGMER_SKILLS", self.inside("skills"))
            .envs(
                self.programs
                    .iter()
                    .map(|name| (format!("CARGO_BIN_EXE_{name}"), self.inside("target/debug").join(name))),
            )
            .uid(NOBODY)
            .gid(NOBODY); // std drops the supplementary groups with the uid
        Ok(())
    }
}

/// As `chmod -R a+rX`.
fn open_to_all(path: &Path) -> Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mode = metadata.permissions().mode();
    let more = if metadata.is_dir() || mode & 0o100 != 0 { 0o555 } else { 0o444 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode | more))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            open_to_all(&entry?.path())?;
        }
    }
    Ok(())
}
