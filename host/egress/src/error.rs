//! Why a request did not get through.

use std::time::Duration;

use stigmer_policy::{Denial, Rule};

use crate::proxy::ProxyError;
use crate::target::TargetError;
use crate::tls::RootsError;

/// Which wait was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Resolving, dialling, the proxy and the TLS handshake.
    Connect,
    /// The head of the response.
    FirstByte,
    /// The next piece of the response.
    Idle,
    /// The whole exchange.
    Whole,
}

impl std::fmt::Display for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Wait::Connect => "connection",
            Wait::FirstByte => "response",
            Wait::Idle => "next piece of the response",
            Wait::Whole => "end of the response",
        })
    }
}

/// Why a request did not get through. `target` is `host:port`; paths, queries and headers are never shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The URL cannot be used.
    #[error("the URL cannot be used")]
    Target(#[from] TargetError),
    /// The host or port is not listed, or the network is off.
    #[error("not allowed to connect")]
    NotListed {
        /// The refusal.
        #[source]
        denial: Denial,
    },
    /// The host is, or leads to, a private address that is not listed itself.
    #[error("not allowed to connect")]
    PrivateAddress {
        /// The refusal.
        #[source]
        denial: Denial,
    },
    /// The name has no address.
    #[error("could not find an address for `{name}`")]
    Resolve {
        /// The name.
        name: String,
        /// Why; `None` when the answer was empty.
        source: Option<std::io::Error>,
    },
    /// None of the addresses answered.
    #[error("could not connect to `{target}`")]
    Connect {
        /// The target.
        target: String,
        /// What the last address said.
        source: std::io::Error,
    },
    /// The proxy did not let the connection through.
    #[error("could not connect to `{target}` through the proxy")]
    Proxy {
        /// The target.
        target: String,
        /// Why.
        source: ProxyError,
    },
    /// No secure connection.
    #[error("could not make a secure connection to `{target}`")]
    Tls {
        /// The target.
        target: String,
        /// Why, as rustls says it.
        source: std::io::Error,
    },
    /// No certificates to trust.
    #[error("could not load certificates")]
    Roots(#[source] RootsError),
    /// It took too long.
    #[error("gave up on `{target}`: no {wait} within {limit:?}")]
    Timeout {
        /// The target.
        target: String,
        /// Which wait.
        wait: Wait,
        /// The limit.
        limit: Duration,
    },
    /// Too many bytes.
    #[error("the {what} of `{target}` is larger than {limit} bytes")]
    TooLarge {
        /// The target.
        target: String,
        /// `request`, `head of the response` or `response`.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The peer does not speak HTTP, or broke off.
    #[error("the exchange with `{target}` broke off")]
    Broken {
        /// The target.
        target: String,
        /// Why.
        source: hyper::Error,
    },
    /// A credential would have travelled in the clear.
    #[error("refused to send a credential in the clear to `{target}`")]
    InsecureCredential {
        /// The target.
        target: String,
    },
    /// The secret cannot be a header's value.
    #[error("the secret for `{target}` cannot be sent in a header")]
    CredentialText {
        /// The target.
        target: String,
    },
    /// A redirect that cannot be followed.
    #[error("refused a redirect of `{target}`: {reason}")]
    Redirect {
        /// Who redirected.
        target: String,
        /// Why it was refused.
        reason: &'static str,
    },
}

impl EgressError {
    /// The refusal as an error of its own kind.
    pub(crate) fn denied(denial: Denial) -> Self {
        match denial.rule {
            Rule::PrivateAddress => EgressError::PrivateAddress { denial },
            _ => EgressError::NotListed { denial },
        }
    }

    /// The refusal, when policy said no: one audit row.
    #[must_use]
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            EgressError::NotListed { denial } | EgressError::PrivateAddress { denial } => Some(denial),
            _ => None,
        }
    }

    /// Whether the same request may succeed a little later: nothing was refused, something did not answer.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            EgressError::Resolve { .. }
                | EgressError::Connect { .. }
                | EgressError::Timeout { .. }
                | EgressError::Broken { .. }
        )
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            EgressError::NotListed { denial } | EgressError::PrivateAddress { denial } => denial.grant.clone(),
            EgressError::Resolve { name, .. } => Some(format!("check the spelling of `{name}` and the network")),
            EgressError::Connect { .. } | EgressError::Timeout { wait: Wait::Connect, .. } => {
                Some("is the server running, and is a proxy (`HTTPS_PROXY`) needed here?".to_owned())
            }
            EgressError::Tls { .. } => {
                Some("behind an inspecting proxy, name its certificate file in `SSL_CERT_FILE`".to_owned())
            }
            EgressError::Proxy { source, .. } => source.hint(),
            EgressError::Roots(source) => source.hint(),
            EgressError::InsecureCredential { .. } => Some("use an `https` URL".to_owned()),
            EgressError::CredentialText { .. } => Some("is the key complete, on one line, without quotes?".to_owned()),
            _ => None,
        }
    }
}
