//! The third wall: a guest of ours does the act, through `stigmer plugin call`.

use std::process::Output;

use serde_json::Value;

use super::{Scenario, Step};
use crate::product;

impl Scenario<'_> {
    /// The guest must be told no by the rule that the step names; or, where there is nothing to refuse, be given what
    /// the step says.
    pub(super) fn plugin_refused(&self, step: &Step) -> String {
        let (output, outcome) = self.call(step);
        let shown = product::show(&output);
        if let Some(wanted) = &step.gives {
            self.gave(&outcome, wanted, &shown);
            return shown;
        }
        let rule = step.denied_by.as_deref().unwrap_or_else(|| panic!("{}", self.context("the step names no rule")));
        assert_eq!(output.status.code(), Some(1), "{}\n{shown}", self.context("the plugin did it"));
        let denials = outcome["denials"].as_array().map(Vec::as_slice).unwrap_or_default();
        let rules: Vec<_> = denials.iter().map(|denial| denial["rule"].as_str()).collect();
        assert_eq!(rules, [Some(rule)], "{}\n{shown}", self.context("another denial"));
        self.check_output(step, "plugin call", &output);
        shown
    }

    /// The guest's act must be done, and nothing of it be refused.
    pub(super) fn plugin_works(&self, step: &Step) {
        let (output, outcome) = self.call(step);
        let shown = product::show(&output);
        self.must_work("the plugin's twin", &output);
        assert_eq!(outcome["denials"], Value::Array(Vec::new()), "{}\n{shown}", self.context("a denial in a twin"));
        if let Some(wanted) = &step.gives {
            self.gave(&outcome, wanted, &shown);
        }
        self.check_output(step, "plugin call", &output);
    }

    fn gave(&self, outcome: &Value, wanted: &str, shown: &str) {
        let wanted: Value = serde_json::from_str(&self.host.fill(wanted)).expect("`gives` is JSON");
        assert_eq!(outcome.get("value"), Some(&wanted), "{}\n{shown}", self.context("the plugin got another value"));
    }

    fn call(&self, step: &Step) -> (Output, Value) {
        let named = |name: &Option<String>, what: &str| {
            name.clone().unwrap_or_else(|| panic!("{}", self.context(&format!("a plugin's step names its {what}"))))
        };
        let (guest, export) = (named(&step.guest, "guest"), named(&step.export, "export"));
        let tool = format!("{guest}_guest_{export}");
        let output = self.product.plugin(self.level, &guest, &tool, &self.host.fill(&step.arguments));
        let outcome = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}\n{}", self.context("no outcome of a call"), product::show(&output)));
        (output, outcome)
    }
}
