//! Everything that a user runs: components, skill folders, the product.

use anyhow::{Result, bail};

use crate::guests::{self, Guests};
use crate::{place, process};

/// `cargo xtask build`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if !args.is_empty() {
        bail!("takes no arguments");
    }
    let guests = everything()?;
    println!("product     {}", place::product().display());
    println!("components  {}", guests.components.display());
    println!("skills      {}", guests.skills.display());
    Ok(())
}

/// Builds all; a second time it only looks. The dev profile is enough: what is slow unoptimised (the wasm compiler, its
/// runtime, hashing) is optimised in it.
///
/// # Errors
/// Something does not compile.
pub(crate) fn everything() -> Result<Guests> {
    process::run(process::cargo().args(["build", "--quiet", "--package", "stigmer"]))?;
    guests::build()
}
