//! Attacks as folders: `attack.toml` says what is tried, by which wall, and what must come of it.
//!
//! Every level is run. Where the promise table calls the attacked promise `prevented`, each try must be refused; where it
//! says `detected`, what was changed must be back afterwards; where it says `open`, nothing is claimed and only the twins
//! run. A refusal proves nothing by itself: each scenario has twins that must work, and controls that do the same
//! without walls.

mod document;
mod file_tool;
mod host;
mod plugin;

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use stigmer_policy::{JailPath, Level, Places, Policy, Promise, Request, Strength, Wall, decide, promise};

pub use document::{Attack, Step};

use self::file_tool::{FileTool, Outcome, Refusal};
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
    for level in [Level::Full, Level::Base, Level::Filesystem] {
        let usual = attack.levels.is_empty() && level != Level::Filesystem;
        if usual || attack.levels.iter().any(|wanted| wanted == level.name()) {
            run_at(name, &attack, level);
        }
    }
}

fn run_at(name: &str, attack: &Attack, level: Level) {
    let mut product = Product::fresh();
    if let Some(program) = attack.needs.iter().find(|program| !product::has_program(program)) {
        return product::say(&format!("skipped: {name}: `{program}` is not on this machine"));
    }
    if let (Some(why), false) = (&attack.needs_root, product::is_root()) {
        return product::say(&format!("skipped: {name}: {why}"));
    }
    if !product.holds(level, name) {
        return;
    }
    for (variable, value) in &attack.variables {
        product.set(variable, &value.replace("{canary}", CANARY));
    }
    let host = Host::new(&product, attack, level);
    let scenario = Scenario { name, level, promise: attack.promise, product: &product, host: &host };
    if let Some(setup) = &attack.setup {
        scenario.must_work("setup", &product.unconfined(&format!("set -e\n{}", host.fill(setup))));
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
    promise: Promise,
    product: &'a Product,
    host: &'a Host,
}

impl Scenario<'_> {
    fn context(&self, what: &str) -> String {
        format!("{} at {}: {what}", self.name, self.level.name())
    }

    /// How strongly the promise that the step attacks is held here.
    fn strength(&self, step: &Step) -> Strength {
        promise::strength(step.promise.unwrap_or(self.promise), self.level, product::is_root())
    }

    /// Runs the step's text: inside, or by the person's shell, which then calls the product.
    fn run(&self, step: &Step, script: &str) -> Output {
        let begun = Instant::now();
        let output = if step.outer { self.product.unconfined(script) } else { self.product.exec(self.level, script) };
        let (took, most) = (begun.elapsed(), step.within.map(Duration::from_secs_f64));
        let late = most.is_some_and(|most| took > most);
        assert!(!late, "{}\n{}", self.context(&format!("`{script}` took {took:?}")), product::show(&output));
        output
    }

    fn must_work(&self, what: &str, output: &Output) {
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
        let strength = self.strength(step);
        if step.only_when_prevented && strength != Strength::Prevented {
            // Another step of the scenario shows, within bounds, that nothing stands in its way.
            return;
        }
        let text = match step.wall {
            Wall::Command => {
                let output = self.run(step, &script);
                if strength == Strength::Prevented {
                    let bad = !step.may_exit_well && output.status.success();
                    assert!(!bad, "{}\n{}", self.context(&format!("`{script}` succeeded")), product::show(&output));
                } else if strength == Strength::Open && step.works_when_open {
                    self.must_work(&format!("`{script}`, which the table calls open,"), &output);
                }
                // Also where the act is only detected: what it says shows that it was done.
                if strength > Strength::Open {
                    self.check_output(step, &script, &output);
                }
                product::show(&output)
            }
            Wall::FileTool => self.file_tool(step),
            Wall::Plugin => self.plugin_refused(step),
        };
        // A command is held as strongly as the level says; the two other walls stand at every level.
        if strength > Strength::Open || step.wall != Wall::Command {
            assert!(!text.contains(CANARY), "{}\n{text}", self.context("a secret came out"));
            assert_eq!(self.host.contents(&step.unchanged), before, "{}\n{text}", self.context("something changed"));
        }
        if strength == Strength::Open && step.wall == Wall::Command {
            self.host.left_open();
        }
        if strength == Strength::Prevented || step.wall != Wall::Command {
            assert!(!self.host.was_reached_within_walls(), "{}\n{text}", self.context("the host was reached"));
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
                let output = self.run(step, &script);
                if step.code.is_none() {
                    self.must_work(&format!("twin `{script}`"), &output);
                }
                self.check_output(step, &script, &output);
            }
            Wall::FileTool => {
                let outcome = self.act(step);
                let Ok(text) = outcome else { panic!("{}: {outcome:?}", self.context("the file tool's twin failed")) };
                for wanted in &step.says {
                    assert!(text.contains(&self.host.fill(wanted)), "{}: {text}", self.context("another answer"));
                }
            }
            Wall::Plugin => self.plugin_works(step),
        }
    }

    fn check_output(&self, step: &Step, script: &str, output: &Output) {
        let all = product::show(output);
        if let Some(code) = step.code {
            assert_eq!(output.status.code(), Some(code), "{}\n{all}", self.context(&format!("exit of `{script}`")));
        }
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
        if !step.swap.is_empty() {
            FileTool { step, policy: &self.policy(), fill: &|text| self.host.fill(text) }.race();
            return String::new();
        }
        let begun = Instant::now();
        let outcome = self.act(step);
        let late = step.within.is_some_and(|most| begun.elapsed().as_secs_f64() > most);
        assert!(!late, "{}: {outcome:?}", self.context("the file tool blocked"));
        match outcome {
            Ok(text) => panic!("{}: {text}", self.context("the file tool did it")),
            Err(Refusal { rule, case, words }) => {
                match (&step.denied_by, &step.case) {
                    (Some(wanted), _) => {
                        assert_eq!(
                            rule.as_deref(),
                            Some(wanted.as_str()),
                            "{}",
                            self.context(&format!("{case}: {words}"))
                        );
                    }
                    (None, Some(wanted)) => assert_eq!(&case, wanted, "{}", self.context(&words)),
                    (None, None) => panic!("{}", self.context("the step names neither rule nor case")),
                }
                for text in &step.says {
                    let text = self.host.fill(text);
                    assert!(words.contains(&text), "{}", self.context(&format!("no `{text}` in `{words}`")));
                }
                words
            }
        }
    }

    fn act(&self, step: &Step) -> Outcome {
        FileTool { step, policy: &self.policy(), fill: &|text| self.host.fill(text) }.act()
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
