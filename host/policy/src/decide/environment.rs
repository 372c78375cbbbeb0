//! Environment variables of the person.

use crate::document::grant;
use crate::environment as names;
use crate::policy::Policy;
use crate::request::{Decision, Denial, plain};
use crate::rule::Rule;

/// The fixed list, then what the policy names; names that no policy can give stay refused even when a value made by hand
/// lists them.
pub(super) fn env(policy: &Policy, name: &str) -> Decision {
    if names::is_always(name) {
        return Decision::Allow { rule: Rule::Environment };
    }
    if let Some(why) = names::never(name) {
        return deny(name, format!("the variable is never given: {why}"), None);
    }
    if policy.env.iter().any(|listed| listed == name) {
        return Decision::Allow { rule: Rule::Environment };
    }
    deny(name, "the variable is not listed".to_owned(), grant::env(name))
}

fn deny(name: &str, reason: String, grant: Option<String>) -> Decision {
    let subject = format!("environment {}", plain(name));
    Decision::Deny(Denial { rule: Rule::EnvironmentNotListed, subject, reason, grant })
}
