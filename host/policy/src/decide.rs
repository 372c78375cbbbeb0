//! The decision function.

use crate::policy::Policy;
use crate::request::{Decision, Request};

/// Says whether `request` is allowed, and by which rule.
///
/// Total and without I/O: the same policy and request give the same decision on every machine. When no rule speaks,
/// the answer is [`crate::Rule::DefaultDeny`].
///
/// Precedence: protected path, then the root with the longest path, then the listed system files.
#[must_use]
pub fn decide(policy: &Policy, request: &Request) -> Decision {
    let _ = (policy, request);
    unreachable!("filled in by the next change")
}
