//! Connections.

use std::net::IpAddr;

use crate::address;
use crate::document::grant;
use crate::host::{Asked, HostPattern};
use crate::policy::{HostRule, Policy};
use crate::request::{Decision, Denial, plain};
use crate::rule::Rule;

/// A connection by name or address literal, before anything is resolved.
pub(super) fn connect(policy: &Policy, host: &str, port: u16) -> Decision {
    if policy.hosts.is_empty() {
        return deny(Rule::NetworkOff, host, port, "the network is off".to_owned(), grant::host(host, port));
    }
    let Ok(asked) = Asked::parse(host) else {
        return deny(Rule::HostNotListed, host, port, "this is not the name of a host".to_owned(), None);
    };
    let listed: Vec<&HostRule> = policy.hosts.iter().filter(|rule| speaks_of(rule, &asked)).collect();
    if listed.iter().any(|rule| port != 0 && rule.ports.contains(&port)) {
        return Decision::Allow { rule: Rule::Hosts };
    }
    if !listed.is_empty() {
        let reason = format!("the host is listed, port {port} is not");
        return deny(Rule::HostNotListed, host, port, reason, grant::host(host, port));
    }
    match &asked {
        Asked::Address(address) => match address::is_private(*address) {
            Some(what) => private(host, port, what),
            None => not_listed(host, port),
        },
        Asked::Name(_) if asked.is_localhost() => private(host, port, "this machine"),
        Asked::Name(_) => not_listed(host, port),
    }
}

/// Whether the address that a listed name leads to may be dialled.
///
/// To be asked of the very address that is dialled, after [`super::decide`] allowed `host`: a name may lead to a private
/// place, and to another one at every look. Such an address is allowed when it is listed itself with that port; loopback
/// also when `localhost` (or the name below it) is listed, since these mean nothing else.
#[must_use]
pub fn resolved(policy: &Policy, host: &str, address: IpAddr, port: u16) -> Decision {
    let by_name = connect(policy, host, port);
    if !by_name.is_allowed() {
        return by_name;
    }
    let address = address.to_canonical();
    let Some(what) = address::is_private(address) else { return by_name };
    let itself = Asked::Address(address);
    let by_address = policy.hosts.iter().any(|rule| speaks_of(rule, &itself) && rule.ports.contains(&port));
    let by_localhost = address.is_loopback() && Asked::parse(host).is_ok_and(|asked| asked.is_localhost());
    if by_address || by_localhost {
        return by_name;
    }
    deny(Rule::PrivateAddress, host, port, format!("the name leads to {what}"), grant::host(&address.to_string(), port))
}

/// A rule that does not parse speaks of nothing: a policy value made by hand fails closed.
fn speaks_of(rule: &HostRule, asked: &Asked) -> bool {
    HostPattern::parse(&rule.host).is_ok_and(|pattern| pattern.matches(asked))
}

fn private(host: &str, port: u16, what: &str) -> Decision {
    let reason = format!("this is {what}, which is reached only when listed itself");
    deny(Rule::PrivateAddress, host, port, reason, grant::host(host, port))
}

fn not_listed(host: &str, port: u16) -> Decision {
    deny(Rule::HostNotListed, host, port, "the host is not listed".to_owned(), grant::host(host, port))
}

fn deny(rule: Rule, host: &str, port: u16, reason: String, grant: Option<String>) -> Decision {
    let host = plain(host);
    let subject =
        if host.contains(':') { format!("connect [{host}]:{port}") } else { format!("connect {host}:{port}") };
    Decision::Deny(Denial { rule, subject, reason, grant })
}
