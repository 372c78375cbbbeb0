//! What the probes found, and what that says of the promises.

use serde::{Deserialize, Serialize};
use stigmer_policy::promise::{self, Unheld};
use stigmer_policy::{Layer, Level, Policy, Promise, Strength};

use super::acts::all;

/// What became of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// It was refused, or reached nothing of the host.
    Refused,
    /// It was done, and undone after the command.
    Undone,
    /// It was done.
    Done,
    /// It could not be tried here.
    Absent,
    /// It could not be tried for a reason that says nothing about the walls.
    Broken,
}

/// Whether the same act works in a plain process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// It does: a refusal inside is the walls' doing.
    Works,
    /// It does not: a refusal inside proves nothing.
    Fails,
}

/// What an act says of its promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The promise was kept, at least as strongly as the table says.
    Held,
    /// It was broken.
    Failed,
    /// Nothing was promised, and the act was done.
    Open,
    /// This machine lacks the thing; nothing is proved.
    Absent,
    /// The probe itself failed; nothing is proved.
    Broken,
}

/// One act, tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The promise that it would break.
    pub promise: Promise,
    /// Name of the act.
    pub act: &'static str,
    /// What was tried, for people.
    pub tried: &'static str,
    /// What it says.
    pub outcome: Outcome,
    /// What became of it inside.
    pub found: Found,
    /// Whether it works outside.
    pub control: Control,
    /// The kernel's word, or ours.
    pub detail: String,
}

/// What became of an act on one side, before it is compared with anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Raw {
    pub(crate) found: Found,
    pub(crate) detail: String,
}

/// What all acts together say of one promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Every act that this machine can perform was held.
    Proved,
    /// One was not.
    Failed,
    /// Nothing is promised.
    Open,
    /// No act could be performed here, or one could not be tried.
    Unproved,
}

/// What the probes found at one level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The level of the jail.
    pub level: Level,
    /// Whether the caller is uid 0: the table differs by that.
    pub root: bool,
    /// Every act, in the order of [`super::all`].
    pub findings: Vec<Finding>,
}

impl Proof {
    /// Compares what was found inside with the control and with what the table says.
    pub(crate) fn new(level: Level, root: bool, left_out: &[Layer], controls: &[Raw], raws: Vec<Raw>) -> Proof {
        let findings = all().zip(controls).zip(raws).map(|((act, control), raw)| {
            let works = control.found == Found::Done;
            let claimed = promise::strength_without(act.promise, level, root, left_out);
            let outcome = match strength(raw.found) {
                _ if !works => Outcome::Absent,
                None if raw.found == Found::Absent => Outcome::Absent,
                None => Outcome::Broken,
                Some(found) if found < claimed => Outcome::Failed,
                Some(Strength::Open) => Outcome::Open,
                Some(_) => Outcome::Held,
            };
            let detail = if works { raw.detail } else { format!("not possible here: {}", control.detail) };
            Finding {
                promise: act.promise,
                act: act.name,
                tried: act.sentence,
                outcome,
                found: raw.found,
                control: if works { Control::Works } else { Control::Fails },
                detail,
            }
        });
        Proof { level, root, findings: findings.collect() }
    }

    /// The acts of one promise.
    pub fn of(&self, promise: Promise) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.promise == promise)
    }

    /// How strongly a promise was found to be held: as its weakest act. `None` when no act with a working control could
    /// be tried.
    #[must_use]
    pub fn measured(&self, promise: Promise) -> Option<Strength> {
        let tried = self.of(promise).filter(|finding| finding.control == Control::Works);
        tried.filter_map(|finding| strength(finding.found)).min()
    }

    /// What all acts of a promise say together.
    #[must_use]
    pub fn standing(&self, promise: Promise) -> Standing {
        let any = |outcome| self.of(promise).any(|finding| finding.outcome == outcome);
        if any(Outcome::Failed) {
            Standing::Failed
        } else if any(Outcome::Broken) {
            Standing::Unproved
        } else if any(Outcome::Open) {
            Standing::Open
        } else if any(Outcome::Held) {
            Standing::Proved
        } else {
            Standing::Unproved
        }
    }

    /// What `policy` asks and this machine does not hold at this level, by the table or by trial: a start is refused
    /// unless this is empty.
    #[must_use]
    pub fn unheld(&self, policy: &Policy) -> Vec<Unheld> {
        let mut unheld = promise::unheld(policy, self.level, self.root, &[]);
        for promise in Promise::ALL.iter().copied() {
            let needed = policy.minimum_of(promise, self.level, self.root);
            let Some(held) = self.measured(promise) else { continue };
            if held < needed && unheld.iter().all(|known| known.promise != promise) {
                unheld.push(Unheld { promise, needed, held, missing: None });
            }
        }
        unheld
    }
}

fn strength(found: Found) -> Option<Strength> {
    match found {
        Found::Refused => Some(Strength::Prevented),
        Found::Undone => Some(Strength::Detected),
        Found::Done => Some(Strength::Open),
        Found::Absent | Found::Broken => None,
    }
}

#[cfg(test)]
mod tests;
