//! `cargo run -p xtask --features proto -- proto [--check]`: makes proto/src/gen from the .proto files.
//!
//! The generated code is committed, so an ordinary build needs neither protoc nor this feature.
#![expect(clippy::disallowed_methods, reason = "a developer's command that writes into its own repository")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Contracts, relative to `proto/`.
const FILES: [&str; 2] = ["stigmer/local/v1/local.proto", "stigmer/runner/v1/runner.proto"];

/// Fields that hold a secret: no `Debug` is generated for their messages, so that none can be logged by accident.
const SECRET_MESSAGES: [&str; 2] = ["stigmer.local.v1.RunRequest", "stigmer.local.v1.SetSecretRequest"];

/// Writes the generated code, or with `--check` fails when it differs from what is committed.
///
/// # Errors
/// A .proto file that does not parse; a file that cannot be written; with `--check` the first file that differs.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => bail!("usage: proto [--check]"),
    };
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the repository")?.join("proto");
    let fresh = tempfile::tempdir().context("could not make a temporary folder")?;
    generate(&home, fresh.path())?;
    let (want, have) = (files(fresh.path())?, files(&home.join("src/gen"))?);
    if check {
        if let Some(name) = want.keys().chain(have.keys()).find(|name| want.get(*name) != have.get(*name)) {
            bail!("proto/src/gen/{name} differs from what the .proto files give; run `cargo xtask proto`");
        }
        return Ok(());
    }
    let target = home.join("src/gen");
    std::fs::create_dir_all(&target).with_context(|| format!("could not make `{}`", target.display()))?;
    for name in have.keys().filter(|name| !want.contains_key(*name)) {
        std::fs::remove_file(target.join(name)).with_context(|| format!("could not remove `{name}`"))?;
    }
    for (name, text) in want {
        std::fs::write(target.join(&name), text).with_context(|| format!("could not write `{name}`"))?;
    }
    Ok(())
}

fn generate(home: &Path, out: &Path) -> Result<()> {
    let set = protox::compile(FILES, [home]).context("could not compile the .proto files")?;
    tonic_prost_build::configure()
        .build_transport(false)
        .emit_rerun_if_changed(false)
        .bytes(".stigmer.runner.v1")
        .skip_debug(SECRET_MESSAGES)
        .out_dir(out)
        .compile_fds(set)
        .context("could not generate the code")
}

/// Content of each `.rs` file of a folder, by name; empty when there is no such folder.
fn files(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in std::fs::read_dir(folder).with_context(|| format!("could not list `{}`", folder.display()))? {
        let path: PathBuf = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_name().context("a listed file has a name")?.to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).with_context(|| format!("could not read `{name}`"))?;
            found.insert(name, text);
        }
    }
    Ok(found)
}
