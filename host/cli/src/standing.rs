//! Whether this machine holds what the settings ask: the probes' word, before anything is started.

use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::Context;
use stigmer_policy::promise::{not_prevented, row, strength};
use stigmer_policy::{JailPath, Layer, Level, Places, Policy, Promise};
use stigmer_sandbox::prepare::Person;
use stigmer_sandbox::probe::{self, Proof, Standing, Trial};

use crate::failure::Failure;
use crate::printer::Printer;
use crate::refusal::{Refusal, refused};
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
    let mut refusals: Vec<Refusal> = Vec::new();
    for level in levels {
        let proofs = probe::prove(person, &folder, &[Trial::of(*level)]).context("could not probe the walls")?;
        let refusal = match proofs.into_iter().next().context("no level was tried")? {
            Err(failure) => Refusal::not_built(*level, &policy, failure),
            Ok(proof) => match Refusal::unheld(*level, proof.unheld(&policy)) {
                Some(refusal) => refusal,
                None => {
                    for refusal in &refusals {
                        printer.note(format_args!("using level `{}`: {}", level.name(), refusal.reason()));
                    }
                    return Ok(Proved { level: *level, layers: layers(&proof), not_prevented: open(*level) });
                }
            },
        };
        refusals.push(refusal);
    }
    Err(refused(&refusals))
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
