//! What one caller may reach.

use std::sync::Arc;

use stigmer_policy::HostRule;

use crate::credential::Credential;
use crate::limits::Limits;

/// What one caller may reach, and with what.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// The allow list; empty: nothing.
    pub hosts: Vec<HostRule>,
    /// Credentials, each for one host and port.
    pub credentials: Vec<Arc<Credential>>,
    /// How many redirects are followed, each one checked as a request of its own. Model calls: 0, the answer is handed on.
    pub redirects: u8,
    /// Set for a model endpoint that the person configured: see there.
    pub configured: Option<Configured>,
    /// Bounds.
    pub limits: Limits,
}

/// A model endpoint that the person named. For it alone the proxy is used, and its name may lead to a private address
/// (a model server in the local network), though never to a link-local one: that is where cloud metadata lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// Its host as in [`HostRule`].
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the person typed the address, as a base URL. A provider's own endpoint is configured but not typed: it has
    /// no business in a private network.
    pub typed: bool,
}
