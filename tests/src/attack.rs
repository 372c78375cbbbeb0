//! Attacks as folders: `attack.toml` says what is tried, by which wall, and what must come of it.
//!
//! Every level is run. Where the promise table calls the attacked promise `prevented`, each try must be refused; where it
//! says `detected`, what was changed must be back afterwards; where it says `open`, nothing is claimed and only the twins
//! run. A refusal proves nothing by itself: each scenario has twins that must work, and controls that do the same
//! without walls.

mod document;
mod host;

use std::path::Path;

use stigmer_policy::{JailPath, Level, Places, Policy, Promise, Request, Strength, Wall, decide, promise};
use stigmer_sandbox::files::{PutOptions, ReadOptions, Roots};

pub use document::{Attack, Step};

use self::host::Host;
use crate::product::{self, Product};

/// A text that stands for every secret: it must never come out of the walls.
pub const CANARY: &str = "canary-7f3a91c2";

/// Runs the scenario in `folder` at every level that this machine holds.
///
/// # Panics
/// With the scenario's name and everything that was seen, when an outcome is not the promised one.
pub fn run(folder: &Path) {
    let name = folder.file_name().and_then(|name| name.to_str()).expect("scenario folders have plain names");
    let text = std::fs::read_to_string(folder.join("attack.toml")).expect("a scenario has an attack.toml");
    let attack: Attack = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(!attack.twin.is_empty(), "{name}: a refusal without a twin proves nothing");
    for level in [Level::Full, Level::Base] {
        if attack.levels.is_empty() || attack.levels.iter().any(|wanted| wanted == level.name()) {
            run_at(name, &attack, level);
        }
    }
}

fn run_at(name: &str, attack: &Attack, level: Level) {
    let product = Product::fresh();
    if let Some(program) = attack.needs.iter().find(|program| !product::has_program(program)) {
        return product::say(&format!("skipped: {name}: `{program}` is not on this machine"));
    }
    if !product.holds(level, name) {
        return;
    }
    let strength = promise::strength(attack.promise, level, product::is_root());
    let host = Host::new(&product, attack);
    let scenario = Scenario { name, level, strength, promise: attack.promise, product: &product, host: &host };
    if let Some(setup) = &attack.setup {
        scenario.must_work("setup", &product.unconfined(&host.fill(setup)));
    }
    for step in &attack.control {
        scenario.control(step);
    }
    host.forget();
    for step in &attack.r#try {
        scenario.refused(step);
    }
    for step in &attack.twin {
        scenario.works(step);
    }
}

struct Scenario<'a> {
    name: &'a str,
    level: Level,
    strength: Strength,
    promise: Promise,
    product: &'a Product,
    host: &'a Host,
}

impl Scenario<'_> {
    fn context(&self, what: &str) -> String {
        let (level, strength) = (self.level.name(), self.strength.name());
        format!("{} at {level} ({} is {strength}): {what}", self.name, self.promise.name())
    }

    fn must_work(&self, what: &str, output: &std::process::Output) {
        assert!(output.status.success(), "{}\n{}", self.context(what), product::show(output));
    }

    /// The same act without walls must succeed, or the refusal means nothing.
    fn control(&self, step: &Step) {
        let script = self.host.fill(&step.run);
        let output = self.product.unconfined(&script);
        self.must_work(&format!("control `{script}`"), &output);
        self.check_output(step, &script, &output);
        if step.reaches_host {
            assert!(self.host.was_reached(), "{}", self.context("the control did not reach the host's listener"));
        }
    }

    fn refused(&self, step: &Step) {
        let before = self.host.contents(&step.unchanged);
        let script = self.host.fill(&step.run);
        let text = match step.wall {
            Wall::Command => {
                let output = self.product.exec(self.level, &script);
                if self.strength == Strength::Prevented {
                    let bad = !step.may_exit_well && output.status.success();
                    assert!(!bad, "{}\n{}", self.context(&format!("`{script}` succeeded")), product::show(&output));
                    self.check_output(step, &script, &output);
                }
                product::show(&output)
            }
            Wall::FileTool => self.file_tool(step),
            Wall::Plugin => panic!("{}", self.context("no plugin scenarios here")),
        };
        if self.strength > Strength::Open || step.wall == Wall::FileTool {
            assert!(!text.contains(CANARY), "{}\n{text}", self.context("a secret came out"));
            assert_eq!(self.host.contents(&step.unchanged), before, "{}\n{text}", self.context("something changed"));
        }
        if self.strength == Strength::Prevented {
            assert!(!self.host.was_reached(), "{}\n{text}", self.context("the host was reached"));
            assert!(self.host.witness_lives(), "{}\n{text}", self.context("the witness process is gone"));
        }
        if let (Some(rule), Some(request)) = (&step.denied_by, step.request(|text| self.host.fill(text))) {
            let decision = decide(&self.policy(), &request);
            assert!(!decision.is_allowed(), "{}", self.context(&format!("the policy allows {request:?}")));
            assert_eq!(decision.rule().name(), rule, "{}", self.context(&format!("{request:?}")));
        }
    }

    fn works(&self, step: &Step) {
        let script = self.host.fill(&step.run);
        match step.wall {
            Wall::Command => {
                let output = self.product.exec(self.level, &script);
                self.must_work(&format!("twin `{script}`"), &output);
                self.check_output(step, &script, &output);
            }
            Wall::FileTool => {
                let outcome = self.act(step);
                assert!(outcome.is_ok(), "{}: {outcome:?}", self.context("the file tool's twin failed"));
            }
            Wall::Plugin => panic!("{}", self.context("no plugin scenarios here")),
        }
    }

    fn check_output(&self, step: &Step, script: &str, output: &std::process::Output) {
        let all = product::show(output);
        for text in &step.says {
            let text = self.host.fill(text);
            assert!(all.contains(&text), "{}\n{all}", self.context(&format!("`{script}` does not say `{text}`")));
        }
        for text in &step.never_says {
            let text = self.host.fill(text);
            assert!(!all.contains(&text), "{}\n{all}", self.context(&format!("`{script}` says `{text}`")));
        }
    }

    /// The file tool must refuse with a denial of the rule that the step names, or with the case that it names.
    fn file_tool(&self, step: &Step) -> String {
        match self.act(step) {
            Ok(text) => panic!("{}: {text}", self.context("the file tool did it")),
            Err((rule, case)) => {
                match (&step.denied_by, &step.case) {
                    (Some(wanted), _) => {
                        assert_eq!(rule.as_deref(), Some(wanted.as_str()), "{}", self.context(&format!("case {case}")));
                    }
                    (None, Some(wanted)) => assert_eq!(&case, wanted, "{}", self.context("another case")),
                    (None, None) => panic!("{}", self.context("the step names neither rule nor case")),
                }
                case
            }
        }
    }

    /// Does the step's file verb; an error is the rule of its denial and its case.
    fn act(&self, step: &Step) -> Result<String, (Option<String>, String)> {
        let policy = self.policy();
        let roots = Roots::open(&policy).expect("the roots are there");
        let path = self.host.fill(step.path.as_deref().expect("a file-tool step names a path"));
        let base = policy.workspace_root().expect("a policy has a workspace").path.clone();
        let path = match JailPath::from_base(&base, &path) {
            Ok(path) => path,
            Err(error) => return Err((None, error.to_string())),
        };
        let rule = |denial: Option<&stigmer_policy::Denial>| denial.map(|denial| denial.rule.name().to_owned());
        match step.verb.as_deref().expect("a file-tool step names a verb") {
            "read" => match roots.read(&path, ReadOptions::default()) {
                Ok(read) => Ok(String::from_utf8_lossy(&read.bytes).into_owned()),
                Err(error) => Err((rule(error.denial()), error.case().to_owned())),
            },
            "put" => match roots.put(&path, &mut step.content.as_bytes(), PutOptions::default()) {
                Ok(change) => Ok(format!("{change:?}")),
                Err(error) => Err((rule(error.denial()), error.case().to_owned())),
            },
            "delete" => match roots.delete(&path, true) {
                Ok(removal) => Ok(format!("{removal:?}")),
                Err(error) => Err((rule(error.denial()), error.case().to_owned())),
            },
            "ls" => match roots.ls(&path, 100) {
                Ok(listing) => Ok(format!("{listing:?}")),
                Err(error) => Err((rule(error.denial()), error.case().to_owned())),
            },
            other => panic!("{}", self.context(&format!("no verb `{other}`"))),
        }
    }

    fn policy(&self) -> Policy {
        let path = |path: std::path::PathBuf| JailPath::absolute(path).expect("temporary folders have plain paths");
        // Scratch and home are not what these scenarios are about; folders that exist will do.
        let home = path(self.product.home());
        Policy::workspace(&Places::new(path(self.product.workspace()), home.clone(), home))
    }
}

impl Step {
    fn request(&self, fill: impl Fn(&str) -> String) -> Option<Request> {
        let text = fill(self.request.as_deref()?);
        let (verb, subject) = text.split_once(' ').expect("a request is a verb and a subject");
        let path = || JailPath::absolute(subject).expect("an absolute path");
        Some(match verb {
            "read" => Request::Read(path()),
            "write" => Request::Write(path()),
            "unix" => Request::Unix(path()),
            "env" => Request::Env(subject.to_owned()),
            "connect" => {
                let (host, port) = subject.rsplit_once(':').expect("HOST:PORT");
                Request::Connect { host: host.to_owned(), port: port.parse().expect("a port") }
            }
            other => panic!("no verb `{other}` of requests"),
        })
    }
}
