//! The decision function.

use crate::policy::Policy;
use crate::request::{Decision, Request};

mod environment;
mod files;
mod network;
mod unix;

pub use network::resolved;

/// Says whether `request` is allowed, and by which rule.
///
/// Total and without I/O: the same policy and request give the same decision on every machine. When no rule speaks,
/// the answer is a denial.
///
/// Precedence: protected path, then the root with the longest path, then the listed system files. A name that leads to a
/// private address is found only after it is resolved: whoever dials asks [`resolved`] of each address as well.
#[must_use]
pub fn decide(policy: &Policy, request: &Request) -> Decision {
    match request {
        Request::Read(path) => files::read(policy, path),
        Request::Write(path) => files::write(policy, path),
        Request::Connect { host, port } => network::connect(policy, host, *port),
        Request::Env(name) => environment::env(policy, name),
        Request::Unix(path) => unix::unix(policy, path),
    }
}

#[cfg(test)]
mod tests;
