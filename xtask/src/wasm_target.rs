//! Provides the compilation target of all components on a machine that has only cargo.
//!
//! Three ways, the first that works: it is there; `rustup target add`; on Debian, as root, a standard library built from
//! the distribution's `rust-src` of exactly this compiler.

mod apt;
mod debian;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;

/// WASI 0.2 components.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// rustup retries a dead network for minutes; one who waits for it learns nothing new after this.
const RUSTUP_TIME: Duration = Duration::from_secs(90);

/// Makes sure that the target can be compiled for.
///
/// # Errors
/// Names each way and why it failed, and what to install.
pub(crate) fn provide() -> Result<()> {
    if is_present()? {
        return Ok(());
    }
    eprintln!("the target {TARGET} is missing; looking for a way to get it");
    let by_rustup = rustup();
    if by_rustup.is_ok() && is_present()? {
        return Ok(());
    }
    let by_debian = debian::install(TARGET);
    if by_debian.is_ok() && is_present()? {
        return Ok(());
    }
    let why = |way: Result<()>| match way {
        Ok(()) => "it ended well, yet the target is not there".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    bail!(
        "no way to the target {TARGET}\n  rustup: {}\n  Debian's rust-src: {}\nhint: install the toolchain with rustup \
         and run `rustup target add {TARGET}`, or install your distribution's package of the standard library for it",
        why(by_rustup),
        why(by_debian)
    )
}

/// Folder that holds the target's libraries, whether or not it exists.
fn library_folder() -> Result<PathBuf> {
    let folder = process::text(process::rustc().args(["--print", "target-libdir", "--target", TARGET]))?;
    Ok(PathBuf::from(folder.trim()))
}

fn is_present() -> Result<bool> {
    let folder = library_folder()?;
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(false) };
    let has_std = |name: &str| name.starts_with("libstd-") && name.ends_with(".rlib");
    Ok(entries.flatten().any(|entry| entry.file_name().to_str().is_some_and(has_std)))
}

fn rustup() -> Result<()> {
    if !process::exists("rustup") {
        bail!("not installed");
    }
    process::text_within(
        Command::new("rustup").args(["target", "add", TARGET]).env("RUST_BACKTRACE", "0"),
        RUSTUP_TIME,
    )
    .context("it could not add the target")?;
    Ok(())
}
