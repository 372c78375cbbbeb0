//! What `doctor` says, for people and for programs.

use serde::Serialize;
use stigmer_policy::promise::{PromiseRow, Unheld, row, strength, unbuilt};
use stigmer_policy::{Layer, Level, Policy, Promise, Strength};
use stigmer_sandbox::message::SetupFailure;
use stigmer_sandbox::probe::advice::{self, Cause, Machine};
use stigmer_sandbox::probe::{Finding, Outcome, Proof, Standing};

use crate::printer::Printer;

/// Version of the JSON form: grows when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: u32,
    /// The built-in policy is held at some level that was tried.
    holds: bool,
    machine: Machine,
    levels: Vec<LevelReport>,
}

#[derive(Debug, Serialize)]
struct LevelReport {
    level: Level,
    /// The built-in policy is held at this level.
    holds: bool,
    /// Why no jail stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    promises: Vec<PromiseReport>,
    /// Promises that the built-in policy asks for and that are not held, with the layer that is missing.
    unheld: Vec<UnheldReport>,
    causes: Vec<CauseReport>,
}

#[derive(Debug, Serialize)]
struct PromiseReport {
    promise: Promise,
    #[serde(skip)]
    row: &'static PromiseRow,
    sentence: &'static str,
    /// By the table.
    strength: Strength,
    /// By trial.
    measured: Option<Strength>,
    standing: Standing,
    layers: Vec<&'static str>,
    acts: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct UnheldReport {
    promise: Promise,
    needed: Strength,
    held: Strength,
    layer: Option<Layer>,
}

#[derive(Debug, Serialize)]
struct CauseReport {
    name: &'static str,
    sentence: &'static str,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'static str>,
}

impl From<&'static Cause> for CauseReport {
    fn from(cause: &'static Cause) -> CauseReport {
        let (path, content) = cause.file.unzip();
        CauseReport { name: cause.name, sentence: cause.sentence, change: cause.change, path, content }
    }
}

impl Report {
    /// Compares what was found with what `policy` asks.
    pub(super) fn new(
        policy: &Policy,
        machine: Machine,
        proofs: impl Iterator<Item = (Level, Result<Proof, SetupFailure>)>,
    ) -> Report {
        let levels: Vec<_> = proofs.map(|(level, proof)| LevelReport::new(policy, &machine, level, proof)).collect();
        Report { version: VERSION, holds: levels.iter().any(|level| level.holds), machine, levels }
    }

    /// Whether the policy is held at some level.
    pub(super) fn holds(&self) -> bool {
        self.holds
    }

    /// Prints the report for people.
    pub(super) fn print(&self, printer: &Printer) {
        let who = if self.machine.root { "root" } else { "an ordinary user" };
        printer.line(format_args!("Linux {}, Landlock ABI {}, as {who}", self.machine.kernel, self.machine.landlock));
        for level in &self.levels {
            printer.line(format_args!(""));
            level.print(printer);
        }
    }
}

impl LevelReport {
    fn new(policy: &Policy, machine: &Machine, level: Level, proof: Result<Proof, SetupFailure>) -> LevelReport {
        let proof = match proof {
            Ok(proof) => proof,
            Err(failure) => {
                return LevelReport {
                    level,
                    holds: false,
                    causes: causes(machine, level, Some(&failure)),
                    failure: Some(advice::failed(&failure)),
                    promises: Vec::new(),
                    unheld: reports(unbuilt(policy, level, machine.root, failure.layer)),
                };
            }
        };
        let unheld: Vec<_> = proof.unheld(policy);
        let causes = if unheld.is_empty() { Vec::new() } else { causes(machine, level, None) };
        LevelReport {
            level,
            holds: unheld.is_empty(),
            failure: None,
            promises: Promise::ALL.iter().map(|promise| PromiseReport::new(*promise, &proof)).collect(),
            unheld: reports(unheld),
            causes,
        }
    }

    fn print(&self, printer: &Printer) {
        let holds = if self.holds { "holds the built-in policy" } else { "does not hold the built-in policy" };
        printer.line(format_args!("level {}: {holds}", self.level.name()));
        if let Some(failure) = &self.failure {
            printer.line(format_args!("  {failure}"));
        }
        for promise in &self.promises {
            promise.print(printer);
        }
        if self.failure.is_some() && !self.unheld.is_empty() {
            // Nothing stands: one line for all that falls, and what the missing layer needs where no cause is known.
            let names: Vec<_> = self.unheld.iter().map(|unheld| unheld.promise.name()).collect();
            printer.line(format_args!("  so these are asked for and not held: {}", names.join(", ")));
            let layer = self.unheld.iter().find_map(|unheld| unheld.layer);
            if let Some(layer) = layer.filter(|_| self.causes.is_empty()) {
                printer.line(format_args!("  the layer {} needs {}", layer.name(), layer.needs()));
            }
        }
        for unheld in self.unheld.iter().filter(|_| self.failure.is_none()) {
            let layer = unheld.layer.map(|layer| format!("; {}", layer.needs())).unwrap_or_default();
            let (promise, needed, held) = (unheld.promise.name(), unheld.needed.name(), unheld.held.name());
            printer.line(format_args!("  {promise} is asked as {needed} and held as {held}{layer}"));
        }
        for cause in &self.causes {
            printer.line(format_args!("  because {}", cause.sentence));
            printer.hint(format_args!("{}", cause.change));
            if let (Some(path), Some(content)) = (cause.path, cause.content) {
                printer.line(format_args!("  {path}:"));
                for line in content.lines() {
                    printer.line(format_args!("    {line}"));
                }
            }
        }
    }
}

fn reports(unheld: Vec<Unheld>) -> Vec<UnheldReport> {
    let report = |it: Unheld| UnheldReport { promise: it.promise, needed: it.needed, held: it.held, layer: it.missing };
    unheld.into_iter().map(report).collect()
}

impl PromiseReport {
    fn new(promise: Promise, proof: &Proof) -> PromiseReport {
        let row = row(promise);
        let mut layers: Vec<_> = row.held(proof.level, proof.root).iter().flat_map(|way| way.by).copied().collect();
        layers.sort_unstable();
        layers.dedup();
        PromiseReport {
            promise,
            row,
            sentence: row.sentence,
            strength: strength(promise, proof.level, proof.root),
            measured: proof.measured(promise),
            standing: proof.standing(promise),
            layers: layers.into_iter().map(Layer::name).collect(),
            acts: proof.of(promise).cloned().collect(),
        }
    }

    fn print(&self, printer: &Printer) {
        let standing = match self.standing {
            Standing::Proved => "proved",
            Standing::Failed => "FAILED",
            Standing::Open => "open",
            Standing::Unproved => "unproved",
        };
        let by = match self.layers.as_slice() {
            [] => String::new(),
            layers => layers.join(", "),
        };
        printer.line(format_args!("  {:<17} {:<10} {standing:<9} {by}", self.row.promise.name(), self.strength.name()));
        let told = |finding: &&Finding| !matches!(finding.outcome, Outcome::Held | Outcome::Open);
        for finding in self.acts.iter().filter(told) {
            printer.line(format_args!("    {} ({}): {}", finding.act, finding.tried, finding.detail));
        }
    }
}

fn causes(machine: &Machine, level: Level, failure: Option<&SetupFailure>) -> Vec<CauseReport> {
    machine.causes(level, failure).into_iter().map(CauseReport::from).collect()
}
