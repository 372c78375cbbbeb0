//! The two questions: is the host listed, and may its addresses be dialled.

use std::net::{IpAddr, SocketAddr};

use stigmer_policy::decide::resolved;
use stigmer_policy::host::Asked;
use stigmer_policy::{HostRule, Limits as PolicyLimits, Policy, Request, decide};

use crate::error::EgressError;
use crate::reach::Reach;
use crate::target::Target;

/// Whether the host and port are listed. Asked before anything is resolved.
pub(crate) fn listed(reach: &Reach, target: &Target) -> Result<(), EgressError> {
    let request = Request::Connect { host: target.host_text(), port: target.port };
    decide(&policy(&reach.hosts), &request).into_result().map(|_| ()).map_err(EgressError::denied)
}

/// A host that is neither a name nor an address is refused by the same rule, and so is recorded like any other refusal.
pub(crate) fn unreadable(reach: &Reach, host: &str, port: u16) -> Option<EgressError> {
    decide(&policy(&reach.hosts), &Request::Connect { host: host.to_owned(), port })
        .into_result()
        .err()
        .map(EgressError::denied)
}

/// A policy that speaks of hosts alone.
fn policy(hosts: &[HostRule]) -> Policy {
    Policy {
        roots: Vec::new(),
        system: Vec::new(),
        protected: Vec::new(),
        hosts: hosts.to_vec(),
        env: Vec::new(),
        unix: Vec::new(),
        limits: PolicyLimits::default(),
        minimum: Vec::new(),
    }
}

/// The addresses that may be dialled for `target`: all that its name leads to, or none. One private address among them
/// refuses the whole: whoever answers for the name chooses the order.
pub(crate) fn addresses(reach: &Reach, target: &Target, found: &[IpAddr]) -> Result<Vec<SocketAddr>, EgressError> {
    let policy = policy(&reach.hosts);
    let one = |address: &IpAddr| {
        let address = address.to_canonical();
        match resolved(&policy, &target.host_text(), address, target.port).into_result() {
            Err(denial) if !typed(reach, target, address) => Err(EgressError::denied(denial)),
            _ => Ok(SocketAddr::new(address, target.port)),
        }
    };
    found.iter().map(one).collect()
}

fn typed(reach: &Reach, target: &Target, address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address == METADATA_V6,
    };
    !link_local && reach.configured.as_ref().is_some_and(|it| it.typed && it.is(target))
}

/// Metadata service of EC2 over IPv6: unique local by number.
const METADATA_V6: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl crate::reach::Configured {
    /// Whether `target` is this endpoint.
    pub(crate) fn is(&self, target: &Target) -> bool {
        self.port == target.port && Asked::parse(&self.host).is_ok_and(|host| host == target.host)
    }
}
