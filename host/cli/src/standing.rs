//! Whether this machine holds what the settings ask: the probes' word, before anything is started.

use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::Context;
use stigmer_policy::promise::{Unheld, not_prevented, row, strength};
use stigmer_policy::{JailPath, Layer, Level, Places, Policy, Promise};
use stigmer_sandbox::prepare::Person;
use stigmer_sandbox::probe::{self, Proof, Standing, Trial, advice};

use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::SandboxConfig;

/// A level that stands here, and what was proved of it.
#[derive(Debug, Clone)]
pub(crate) struct Proved {
    pub(crate) level: Level,
    /// Layers behind promises that every act proved; empty at `filesystem`.
    pub(crate) layers: Vec<Layer>,
    /// `promise: strength`, of those that the level does not prevent.
    pub(crate) not_prevented: Vec<String>,
}

/// Tries the levels of `config`, the strongest first, and takes the first at which the built-in policy is held.
///
/// Must be called while the process has one thread.
///
/// # Errors
/// Exit code 3, with promise, layer and the smallest change, when none is held.
pub(crate) fn prove(config: &SandboxConfig, person: &Person, printer: &Printer) -> Result<Proved, Failure> {
    let levels = config.levels();
    if levels == [Level::Filesystem] {
        return Ok(Proved { level: Level::Filesystem, layers: Vec::new(), not_prevented: open(Level::Filesystem) });
    }
    let folder = person.stigmer_home.join("run");
    make(&folder)?;
    let policy = policy(person)?;
    let mut refused = None;
    for level in levels {
        let proofs = probe::prove(person, &folder, &[Trial::of(*level)]).context("could not probe the walls")?;
        let reason = match proofs.into_iter().next() {
            None => anyhow::anyhow!("level `{}` was not tried", level.name()),
            Some(Err(failure)) => {
                anyhow::anyhow!("level `{}` cannot be built here: {}", level.name(), advice::failed(&failure))
            }
            Some(Ok(proof)) => {
                let unheld = proof.unheld(&policy);
                let Some(first) = unheld.first() else {
                    if let Some(reason) = refused {
                        printer.note(format_args!("using level `{}`: {reason:#}", level.name()));
                    }
                    return Ok(Proved { level: *level, layers: layers(&proof), not_prevented: open(*level) });
                };
                anyhow::anyhow!("level `{}` is not held here: {}", level.name(), words(first))
            }
        };
        refused = Some(match refused {
            None => reason,
            Some(earlier) => anyhow::anyhow!("{earlier:#}; {reason:#}"),
        });
    }
    let hint = smallest_change(levels);
    Err(Failure::ours(refused.context("no level was tried")?).hint(Some(hint)))
}

fn words(unheld: &Unheld) -> String {
    let layer = unheld.missing.map(|layer| format!(", for want of the layer `{}`", layer.name())).unwrap_or_default();
    format!(
        "the promise `{}` is needed as `{}` and is `{}`{layer}",
        unheld.promise.name(),
        unheld.needed.name(),
        unheld.held.name()
    )
}

/// What to change on this machine, from the table of known causes; else where to look.
fn smallest_change(levels: &[Level]) -> String {
    let machine = advice::Machine::look();
    let causes = levels.iter().flat_map(|level| machine.causes(*level, None));
    let mut changes: Vec<&str> = Vec::new();
    for cause in causes {
        if !changes.contains(&cause.change) {
            changes.push(cause.change);
        }
    }
    if changes.is_empty() {
        "`stigmer doctor` shows every act that was tried; `--sandbox filesystem` works without these walls".to_owned()
    } else {
        changes.join("; or ")
    }
}

/// Layers that hold a promise which was proved, the strongest way of each.
fn layers(proof: &Proof) -> Vec<Layer> {
    let mut layers = BTreeSet::new();
    for promise in Promise::ALL.iter().filter(|promise| proof.standing(**promise) == Standing::Proved) {
        let held = strength(*promise, proof.level, proof.root);
        let ways = row(*promise).held(proof.level, proof.root).iter().filter(|way| way.strength == held);
        layers.extend(ways.flat_map(|way| way.by.iter().copied()));
    }
    layers.into_iter().collect()
}

/// What a level does not prevent, as `promise: strength`.
pub(crate) fn open(level: Level) -> Vec<String> {
    let root = rustix::process::geteuid().is_root();
    let line = |row: &&'static stigmer_policy::promise::PromiseRow| {
        format!("{}: {}", row.promise.name(), strength(row.promise, level, root).name())
    };
    not_prevented(level, root).iter().map(line).collect()
}

/// The built-in policy: what it asks of the promises does not depend on where its folders are.
fn policy(person: &Person) -> Result<Policy, Failure> {
    let path = |path: &Path| JailPath::absolute(path).context("the home folder is no path for a jail");
    let places = Places::new(path(&person.home)?, path("/tmp".as_ref())?, path(&person.home)?);
    Ok(Policy::workspace(&places))
}

fn make(folder: &Path) -> Result<(), Failure> {
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("could not make `{}`", folder.display()))
        .map_err(|error| Failure::ours(error).hint(Some("name a folder that you can write by STIGMER_HOME".to_owned())))
}
