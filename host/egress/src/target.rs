//! Where a request goes.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::PathAndQuery;
use stigmer_policy::host::{Asked, HostError};

/// Characters of an unreadable host that an error shows.
const HOST_SHOWN: usize = 80;

/// How a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// Host, port and path of a request, taken from its URL once; everything later speaks of this value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// How it travels.
    pub scheme: Scheme,
    /// The host: a checked name or an address.
    pub host: Asked,
    /// The port, the scheme's own when the URL names none.
    pub port: u16,
    /// Path and query, never empty.
    pub path: PathAndQuery,
}

/// Why a URL is no target. The URL itself is left out: it may carry secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Not a URL.
    #[error("the URL cannot be read")]
    Url,
    /// Neither `http` nor `https`.
    #[error("the scheme of the URL is neither `http` nor `https`")]
    Scheme,
    /// `https://user:password@host/`.
    #[error("the URL carries a user or password")]
    User,
    /// No host, or one that is neither a name nor an address.
    #[error("the host `{host}` of the URL is neither a name nor an address")]
    Host {
        /// As it was written.
        host: String,
        /// The port that went with it.
        port: u16,
        /// Why.
        source: HostError,
    },
    /// Port 0.
    #[error("the URL names port 0")]
    Port,
}

impl Target {
    /// Takes a URL as text.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        Target::of(&url.parse().map_err(|_| TargetError::Url)?)
    }

    /// Takes an absolute URI.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn of(uri: &Uri) -> Result<Self, TargetError> {
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(TargetError::Scheme),
        };
        let authority = uri.authority().ok_or(TargetError::Url)?;
        if authority.as_str().contains('@') {
            return Err(TargetError::User);
        }
        let written = authority.host();
        let bare = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(written);
        let port = match (authority.port_u16(), authority.port().is_some(), scheme) {
            (Some(0), ..) => return Err(TargetError::Port),
            (Some(port), ..) => port,
            (None, true, _) => return Err(TargetError::Url),
            (None, false, Scheme::Https) => 443,
            (None, false, Scheme::Http) => 80,
        };
        let host = Asked::parse(bare).map_err(|source| TargetError::Host {
            host: bare.chars().take(HOST_SHOWN).collect(),
            port,
            source,
        })?;
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Target { scheme, host, port, path })
    }

    /// Host for the policy: without brackets.
    #[must_use]
    pub fn host_text(&self) -> String {
        match &self.host {
            Asked::Address(address) => address.to_string(),
            Asked::Name(name) => name.clone(),
        }
    }

    /// Whether it is this machine itself, by address or by a name that is kept for it (RFC 6761, 6.3).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Asked::Address(address) => address.to_canonical().is_loopback(),
            name => name.is_localhost(),
        }
    }

    /// `host:port`, an IPv6 address in brackets.
    #[must_use]
    pub fn authority(&self) -> String {
        match &self.host {
            Asked::Address(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            Asked::Address(address) => format!("{address}:{}", self.port),
            Asked::Name(name) => format!("{name}:{}", self.port),
        }
    }

    /// Value of the `Host` header: the port only when it is not the scheme's own (RFC 9110, 7.2).
    #[must_use]
    pub fn host_header(&self) -> String {
        let own = matches!((self.scheme, self.port), (Scheme::Https, 443) | (Scheme::Http, 80));
        let authority = self.authority();
        match authority.rsplit_once(':') {
            Some((host, _)) if own => host.to_owned(),
            _ => authority,
        }
    }
}

impl fmt::Display for Target {
    /// `host:port`, without path and query, which may carry secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_from_every_spelling() {
        for (url, authority, header) in [
            ("https://API.Example.com./v1?q=1", "api.example.com:443", "api.example.com"),
            ("http://127.0.0.1:11434/api/chat", "127.0.0.1:11434", "127.0.0.1:11434"),
            ("http://[::1]/", "[::1]:80", "[::1]"),
            ("http://[::ffff:127.0.0.1]:8080", "127.0.0.1:8080", "127.0.0.1:8080"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.authority().as_str(), target.host_header().as_str()), (authority, header), "{url}");
        }
    }

    #[test]
    fn what_is_no_target() {
        for (url, want) in [
            ("/v1/messages", TargetError::Scheme),
            ("ftp://example.com/", TargetError::Scheme),
            ("https://user:pw@example.com/", TargetError::User),
            ("https://good.example@evil.example/", TargetError::User),
            ("https://example.com:0/", TargetError::Port),
            ("https:///x", TargetError::Url),
        ] {
            assert_eq!(Target::parse(url).unwrap_err(), want, "{url}");
        }
        for url in
            ["http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/", "http://1.2.3.4.5/"]
        {
            assert!(matches!(Target::parse(url), Err(TargetError::Host { .. })), "{url}");
        }
    }
}
