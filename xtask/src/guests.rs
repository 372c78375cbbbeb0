//! Components: plugins and the guests of tests, compiled once and cached by content.
//!
//! ```text
//! plugins/*, tests/guests ─► cargo build (release, wasm32-wasip2) ─► append-docs ─► target/xtask/guests/NAME.wasm
//!                                                           plugins/*/skill + its component ─► target/xtask/skills/NAME/
//! ```

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{build, place, process, wasm_target};

/// Where the built things are.
pub(crate) struct Guests {
    /// Folder of components, `NAME.wasm`; what tests find in `STIGMER_GUESTS`.
    pub(crate) components: PathBuf,
    /// Folder of skill folders, each with its component in `tools/`; what tests find in `STIGMER_SKILLS`.
    pub(crate) skills: PathBuf,
}

impl Guests {
    /// The variables by which tests find them.
    pub(crate) fn variables(&self) -> [(&'static str, &Path); 2] {
        [("STIGMER_GUESTS", &self.components), ("STIGMER_SKILLS", &self.skills)]
    }
}

/// `cargo xtask guests`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if !args.is_empty() {
        bail!("takes no arguments");
    }
    for (name, folder) in build()?.variables() {
        println!("{name}={}", folder.display());
    }
    Ok(())
}

/// Builds what is not yet built.
///
/// # Errors
/// The target is missing, something does not compile, or two guests have the same name.
pub(crate) fn build() -> Result<Guests> {
    wasm_target::provide()?;
    let guests = Guests { components: place::made().join("guests"), skills: place::made().join("skills") };
    fs::create_dir_all(&guests.components)?;
    let mut names = Vec::new();
    for workspace in workspaces() {
        for built in compile(&workspace)? {
            let name = built.name()?;
            if names.contains(&name) {
                bail!("two components are called `{name}`");
            }
            finish(&built, &guests.components.join(format!("{name}.wasm")))?;
            names.push(name);
        }
    }
    skills(&guests, &names)?;
    Ok(guests)
}

/// The workspaces of components that this repository has.
pub(crate) fn workspaces() -> Vec<PathBuf> {
    let root = place::root();
    ["plugins", "tests/guests"]
        .map(|folder| root.join(folder))
        .into_iter()
        .filter(|w| w.join("Cargo.toml").exists())
        .collect()
}

/// One component as cargo left it.
struct Built {
    wasm: PathBuf,
    /// Folder of the package.
    package: PathBuf,
    /// Programs keep the name of their target, a library has that of its folder.
    program: Option<String>,
}

impl Built {
    fn name(&self) -> Result<String> {
        if let Some(program) = &self.program {
            return Ok(program.clone());
        }
        let folder = self.package.file_name().and_then(|name| name.to_str());
        folder.map(str::to_owned).with_context(|| format!("`{}` has no name", self.package.display()))
    }

    /// Its WIT, where the doc comments are: in the package, or among the published packages.
    fn wit(&self) -> Option<PathBuf> {
        let published = place::root().join("plugins/wit").join(self.package.file_name()?);
        [self.package.join("wit"), published].into_iter().find(|folder| folder.is_dir())
    }
}

fn compile(workspace: &Path) -> Result<Vec<Built>> {
    let mut command = process::cargo();
    command
        .args(["build", "--release", "--workspace", "--target", wasm_target::TARGET])
        .args(["--message-format", "json-render-diagnostics", "--quiet"])
        .env("CARGO_TARGET_DIR", place::target().join("guests"))
        .current_dir(workspace)
        .stderr(Stdio::inherit());
    let output = command.stdin(Stdio::null()).output().context("could not start cargo")?;
    if !output.status.success() {
        bail!("the components of `{}` do not build", workspace.display());
    }
    let mut found = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: Value = serde_json::from_str(line).context("cargo printed what is not JSON")?;
        if message["reason"] != "compiler-artifact" {
            continue;
        }
        let files = message["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let manifest = Path::new(message["manifest_path"].as_str().unwrap_or_default());
        for file in files.filter(|file| file.ends_with(".wasm")) {
            let is_program = message["target"]["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == "bin"));
            let program = is_program.then(|| message["target"]["name"].as_str().unwrap_or_default().to_owned());
            let package = manifest.parent().context("a manifest lies in a folder")?.to_owned();
            found.push(Built { wasm: PathBuf::from(file), package, program });
        }
    }
    Ok(found)
}

/// Appends the descriptions that compilers leave out, unless that was done with the same input before.
fn finish(built: &Built, to: &Path) -> Result<()> {
    let wit = built.wit();
    let mut inputs = vec![built.wasm.clone()];
    if let Some(wit) = &wit {
        inputs.extend(place::files_below(wit)?);
        // What the tool writes depends on it, too.
        inputs.push(place::root().join("host/plugin/src/docs.rs"));
    }
    let (fingerprint, stamp) = (place::fingerprint(&inputs)?, to.with_extension("stamp"));
    if to.exists() && fs::read_to_string(&stamp).is_ok_and(|found| found == fingerprint) {
        return Ok(());
    }
    match wit {
        Some(wit) => {
            build::product()?;
            let tool = place::target().join("debug/examples/append-docs");
            process::run(std::process::Command::new(tool).args([&built.wasm, &wit, to]))?;
        }
        None => {
            fs::copy(&built.wasm, to)?;
        }
    }
    fs::write(&stamp, fingerprint)?;
    Ok(())
}

/// Skill folders of plugins, each with its component in `tools/`.
fn skills(guests: &Guests, names: &[String]) -> Result<()> {
    for name in names {
        let source = place::root().join("plugins").join(name).join("skill");
        if !source.is_dir() {
            continue;
        }
        let made = guests.skills.join(name);
        if made.exists() {
            fs::remove_dir_all(&made).with_context(|| format!("could not replace `{}`", made.display()))?;
        }
        place::copy_folder(&source, &made)?;
        let tools = made.join("tools");
        fs::create_dir_all(&tools)?;
        fs::copy(guests.components.join(format!("{name}.wasm")), tools.join(format!("{name}.wasm")))?;
    }
    Ok(())
}

/// Whether tests should run their long loops in full, for the children of this process.
pub(crate) fn long_variable(long: bool) -> Option<(&'static str, &'static str)> {
    (long || env::var_os("STIGMER_LONG").is_some_and(|value| value == *"1")).then_some(("STIGMER_LONG", "1"))
}
