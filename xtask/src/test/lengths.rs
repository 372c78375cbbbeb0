//! A file that no longer fits in a head is split (400 lines; generated code is exempt).

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// Lines at which a file is too long.
const MOST: usize = 400;
/// Generated code lies in folders of this name.
const GENERATED: &str = "/gen/";

/// Checks every Rust file that git knows or would add.
///
/// # Errors
/// Lists the files that are too long.
pub(super) fn check(root: &Path) -> Result<()> {
    let listed = process::text(
        Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"]).current_dir(root),
    )?;
    let mut long = Vec::new();
    for name in listed.lines().filter(|name| !name.contains(GENERATED)) {
        // A file that was removed and not yet committed is still listed.
        let Ok(text) = std::fs::read_to_string(root.join(name)) else { continue };
        let lines = text.lines().count();
        if lines > MOST {
            long.push(format!("\n  {name}: {lines} lines"));
        }
    }
    if !long.is_empty() {
        bail!("files of more than {MOST} lines:{}", long.concat());
    }
    Ok(())
}
