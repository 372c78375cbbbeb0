//! Credentials: whose are taken out, whose are put in.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use stigmer_policy::address::is_private;
use stigmer_policy::host::Asked;
use stigmer_secrets::SecretValue;

use crate::error::EgressError;
use crate::target::{Scheme, Target};

/// Headers that carry a credential somewhere. A caller never sends one of these itself.
const CREDENTIALS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
    "x-amz-security-token",
];

/// Headers of one connection, which is ours and not the caller's (RFC 9110, 7.6.1), and those that we write ourselves.
const CONNECTION: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "content-length",
    "expect",
    "http2-settings",
];

/// How a provider wants its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderShape {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `x-api-key: KEY`.
    XApiKey,
    /// `api-key: KEY`.
    ApiKey,
    /// Another header whose whole value is the key.
    Named(HeaderName),
}

/// A secret for one host and port.
#[derive(Debug)]
pub struct Credential {
    /// The host, as in a host rule: an exact name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The header.
    pub shape: HeaderShape,
    /// The secret.
    pub value: Arc<SecretValue>,
}

/// Takes out of the caller's headers what is not the caller's to say.
pub(crate) fn strip(headers: &mut HeaderMap) {
    // What `Connection` names is of the connection too.
    let named: Vec<String> = headers
        .get_all(http::header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    for name in CREDENTIALS.iter().chain(CONNECTION).copied().chain(named.iter().map(String::as_str)) {
        headers.remove(name);
    }
}

/// Adds the credential that is meant for `target`, if there is one.
pub(crate) fn inject(
    headers: &mut HeaderMap,
    target: &Target,
    credentials: &[Arc<Credential>],
) -> Result<(), EgressError> {
    for credential in credentials {
        let same_host = Asked::parse(&credential.host).is_ok_and(|host| host == target.host);
        if !same_host || credential.port != target.port {
            continue;
        }
        if !travels_safely(target) {
            return Err(EgressError::InsecureCredential { target: target.to_string() });
        }
        let (name, prefix) = match &credential.shape {
            HeaderShape::Bearer => (http::header::AUTHORIZATION, "Bearer "),
            HeaderShape::XApiKey => (HeaderName::from_static("x-api-key"), ""),
            HeaderShape::ApiKey => (HeaderName::from_static("api-key"), ""),
            HeaderShape::Named(name) => (name.clone(), ""),
        };
        headers.insert(name, header_value(prefix, &credential.value, target)?);
    }
    Ok(())
}

fn header_value(prefix: &str, value: &SecretValue, target: &Target) -> Result<HeaderValue, EgressError> {
    let text = zeroize::Zeroizing::new(format!("{prefix}{}", value.expose()));
    let mut header = HeaderValue::from_str(&text)
        .ok()
        .filter(|_| value.expose().is_ascii())
        .ok_or_else(|| EgressError::CredentialText { target: target.to_string() })?;
    header.set_sensitive(true);
    Ok(header)
}

/// Over TLS, or in the clear to this machine or network only, which the person has listed by address.
fn travels_safely(target: &Target) -> bool {
    match (&target.scheme, &target.host) {
        (Scheme::Https, _) => true,
        (Scheme::Http, Asked::Address(address)) => is_private(*address).is_some(),
        (Scheme::Http, host) => host.is_localhost(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(host: &str, shape: HeaderShape) -> Arc<Credential> {
        let value = Arc::new(SecretValue::new("sk-canary").unwrap());
        Arc::new(Credential { host: host.to_owned(), port: 443, shape, value })
    }

    #[test]
    fn the_callers_own_are_taken_out() {
        let mut headers = HeaderMap::new();
        for name in ["Authorization", "x-api-key", "API-Key", "Proxy-Authorization", "Cookie", "Host", "X-Mine"] {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("evil"));
        }
        headers.append("connection", HeaderValue::from_static("close, X-Hop"));
        headers.append("x-hop", HeaderValue::from_static("1"));
        strip(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-mine"]);
    }

    #[test]
    fn only_the_granted_host_and_port_get_it() {
        let credentials = [credential("api.example.com", HeaderShape::XApiKey)];
        for (url, given) in [
            ("https://api.example.com/", true),
            ("https://API.example.com./", true),
            ("https://api.example.com:8443/", false),
            ("https://evil.example.com/", false),
            ("https://api.example.com.evil.org/", false),
        ] {
            let mut headers = HeaderMap::new();
            inject(&mut headers, &Target::parse(url).unwrap(), &credentials).unwrap();
            assert_eq!(headers.contains_key("x-api-key"), given, "{url}");
        }
    }

    #[test]
    fn each_shape_and_never_shown() {
        let target = Target::parse("https://a.example/").unwrap();
        for (shape, name, text) in [
            (HeaderShape::Bearer, "authorization", "Bearer sk-canary"),
            (HeaderShape::XApiKey, "x-api-key", "sk-canary"),
            (HeaderShape::ApiKey, "api-key", "sk-canary"),
            (HeaderShape::Named(HeaderName::from_static("x-token")), "x-token", "sk-canary"),
        ] {
            let mut headers = HeaderMap::new();
            inject(&mut headers, &target, &[credential("a.example", shape)]).unwrap();
            assert_eq!(headers[name], text);
            assert!(!format!("{headers:?}").contains("canary"));
        }
    }

    #[test]
    fn in_the_clear_it_goes_to_listed_private_addresses_only() {
        for (url, host, given) in [
            ("http://127.0.0.1:443/", "127.0.0.1", true),
            ("http://localhost:443/", "localhost", true),
            ("http://192.168.1.7:443/", "192.168.1.7", true),
            ("http://a.example:443/", "a.example", false),
            ("http://8.8.8.8:443/", "8.8.8.8", false),
        ] {
            let target = Target::parse(url).unwrap();
            let got = inject(&mut HeaderMap::new(), &target, &[credential(host, HeaderShape::Bearer)]);
            assert_eq!(got.is_ok(), given, "{url}");
        }
    }
}
