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
    product()?;
    guests::build()
}

/// The product, and the tool that finishes components. In one call of cargo, since both stand on the wasm compiler: asked
/// for apart they would each choose features for it, and build it twice.
///
/// # Errors
/// Something does not compile.
pub(crate) fn product() -> Result<()> {
    let packages = ["--package", "stigmer", "--package", "stigmer-plugin"];
    process::run(process::cargo().args(["build", "--quiet"]).args(packages).args(["--bins", "--examples"]))
}
