//! Unix sockets of the host.

use crate::document::grant;
use crate::path::JailPath;
use crate::policy::Policy;
use crate::request::{Decision, Denial, plain};
use crate::rule::Rule;

/// Exact paths only: a listed folder would let in whatever appears there.
pub(super) fn unix(policy: &Policy, path: &JailPath) -> Decision {
    if policy.unix.contains(path) {
        return Decision::Allow { rule: Rule::UnixSockets };
    }
    Decision::Deny(Denial {
        rule: Rule::UnixSocketNotListed,
        subject: format!("unix {}", plain(&path.to_string())),
        reason: "the socket is not listed".to_owned(),
        grant: grant::unix(path),
    })
}
