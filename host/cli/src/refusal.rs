//! Why a level does not stand here, in one text for every verb that needs one: promise, layer and the smallest change.

use stigmer_policy::promise::{Unheld, unbuilt};
use stigmer_policy::{Layer, Level, Policy};
use stigmer_sandbox::message::SetupFailure;
use stigmer_sandbox::probe::advice::{self, Machine};

use crate::failure::Failure;

/// One level that was tried and is not used.
#[derive(Debug)]
pub(crate) struct Refusal {
    level: Level,
    why: Why,
    /// What is not held because of it; the first is named.
    unheld: Vec<Unheld>,
}

#[derive(Debug)]
enum Why {
    /// No jail could be made.
    NotBuilt(SetupFailure),
    /// A jail stands, and holds less than is asked.
    Unheld,
}

impl Refusal {
    /// No jail of `level` can be made here: nothing that `policy` asks of it is held.
    pub(crate) fn not_built(level: Level, policy: &Policy, failure: SetupFailure) -> Refusal {
        let root = rustix::process::geteuid().is_root();
        let unheld = unbuilt(policy, level, root, failure.layer);
        Refusal { level, why: Why::NotBuilt(failure), unheld }
    }

    /// What `level` holds is less than a policy asks; `None` when it is not.
    pub(crate) fn unheld(level: Level, unheld: Vec<Unheld>) -> Option<Refusal> {
        (!unheld.is_empty()).then_some(Refusal { level, why: Why::Unheld, unheld })
    }

    /// The layer that is missing, where one is known.
    fn layer(&self) -> Option<Layer> {
        match &self.why {
            Why::NotBuilt(failure) => failure.layer,
            Why::Unheld => self.unheld.first().and_then(|unheld| unheld.missing),
        }
    }

    fn changes(&self, machine: &Machine) -> Vec<String> {
        let failure = match &self.why {
            Why::NotBuilt(failure) => Some(failure),
            // A policy asks for more than the level ever holds: nothing about the machine is at fault.
            Why::Unheld if self.layer().is_none() => {
                return vec!["name another level, or ask less of the promise in the policy".to_owned()];
            }
            Why::Unheld => None,
        };
        let causes = machine.causes(self.level, failure);
        if causes.is_empty() {
            let needs = |layer: Layer| format!("the layer `{}` needs {}", layer.name(), layer.needs());
            return self.layer().map(needs).into_iter().collect();
        }
        let change = |cause: &&advice::Cause| match cause.file {
            Some(_) => format!("{} (`stigmer doctor` prints it)", cause.change),
            None => cause.change.to_owned(),
        };
        causes.iter().map(change).collect()
    }

    /// Why the level is passed over, where a weaker one stands that holds what is asked.
    pub(crate) fn reason(&self) -> String {
        let level = self.level.name();
        match &self.why {
            Why::NotBuilt(failure) => format!("level `{level}` cannot be built here: {}", advice::failed(failure)),
            Why::Unheld => self.to_string(),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.why {
            Why::NotBuilt(_) => f.write_str(&self.reason())?,
            Why::Unheld => write!(f, "level `{}` is not held here", self.level.name())?,
        }
        let Some(first) = self.unheld.first() else { return Ok(()) };
        let layer = first.missing.map(|layer| format!(" for want of the layer `{}`", layer.name()));
        let (promise, needed, held) = (first.promise.name(), first.needed.name(), first.held.name());
        let layer = layer.unwrap_or_default();
        write!(f, "; the promise `{promise}` is needed as `{needed}` and would be `{held}`{layer}")?;
        match self.unheld.len() - 1 {
            0 => Ok(()),
            1 => f.write_str(", and 1 other is not held either"),
            more => write!(f, ", and {more} others are not held either"),
        }
    }
}

/// No level stands: exit code 3, with the smallest change that makes one stand.
pub(crate) fn refused(refusals: &[Refusal]) -> Failure {
    let words: Vec<_> = refusals.iter().map(Refusal::to_string).collect();
    let machine = Machine::look();
    let mut changes: Vec<String> = Vec::new();
    for change in refusals.iter().flat_map(|refusal| refusal.changes(&machine)) {
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    let hint = if changes.is_empty() {
        "`stigmer doctor` shows every act that was tried; `--sandbox filesystem` works without these walls".to_owned()
    } else {
        changes.join("; or ")
    };
    Failure::ours(anyhow::anyhow!("{}", words.join(";\n  "))).hint(Some(hint))
}

#[cfg(test)]
mod tests {
    use stigmer_policy::{JailPath, Places, Promise, Strength};

    use super::*;

    fn policy() -> Policy {
        let path = |text: &str| JailPath::absolute(text).unwrap();
        Policy::workspace(&Places::new(path("/home/ada/w"), path("/tmp"), path("/home/ada")))
    }

    fn failure(layer: Option<Layer>) -> SetupFailure {
        SetupFailure { step: "make a user namespace".to_owned(), subject: None, errno: 28, layer }
    }

    #[test]
    fn a_level_that_cannot_be_built_names_promise_and_layer() {
        let said = Refusal::not_built(Level::Full, &policy(), failure(Some(Layer::NetNamespace))).to_string();
        let begins = "level `full` cannot be built here: could not make a user namespace: No space left on device (os \
                      error 28) (layer `net-namespace`); the promise `network` is needed as `prevented` and would be \
                      `open` for want of the layer `net-namespace`, and ";
        assert!(said.starts_with(begins) && said.ends_with(" others are not held either"), "{said}");
        // A step of no layer takes everything with it all the same.
        let said = Refusal::not_built(Level::Base, &policy(), failure(None)).to_string();
        assert!(
            said.contains("the promise `read-outside` is needed as `prevented` and would be `open`, and "),
            "{said}"
        );
    }

    #[test]
    fn where_no_cause_is_known_the_hint_says_what_the_layer_needs() {
        let sound = Machine {
            landlock: 7,
            version: (6, 18),
            max_user_namespaces: Some(9),
            seccomp: true,
            ..Machine::default()
        };
        let refusal = Refusal::not_built(Level::Base, &policy(), failure(Some(Layer::LandlockScopes)));
        let changes = refusal.changes(&sound);
        assert!(changes[0].contains("the layer `landlock-scopes` needs Linux 6.12"), "{changes:?}");
        let none = Machine { max_user_namespaces: Some(0), ..sound };
        let refusal = Refusal::not_built(Level::Full, &policy(), failure(Some(Layer::Capabilities)));
        assert!(refusal.changes(&none)[0].contains("sysctl -w user.max_user_namespaces"));
    }

    #[test]
    fn a_policy_that_asks_too_much_of_a_level_is_told_so() {
        let unheld = Unheld {
            promise: Promise::ProtectedPaths,
            needed: Strength::Prevented,
            held: Strength::Detected,
            missing: None,
        };
        let refusal = Refusal::unheld(Level::Base, vec![unheld]).unwrap();
        let says = "level `base` is not held here; the promise `protected-paths` is needed as `prevented` and would be \
                    `detected`";
        assert_eq!(refusal.to_string(), says);
        assert!(refusal.changes(&Machine::default())[0].contains("ask less of the promise"));
        assert!(Refusal::unheld(Level::Base, Vec::new()).is_none());
    }
}
