//! The person's HTTP proxy (`HTTPS_PROXY`, `NO_PROXY`), by CONNECT (RFC 9110, 9.3.6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stigmer_policy::host::{Asked, HostError};
use stigmer_secrets::SecretValue;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::target::{Scheme, Target};

/// Longest answer to CONNECT, in bytes.
const HEAD_BYTES: usize = 8 << 10;

/// A proxy.
#[derive(Debug)]
pub struct Proxy {
    pub(crate) host: Asked,
    pub(crate) port: u16,
    /// `user:password` and the password alone: what a redactor must know.
    userinfo: Vec<SecretValue>,
    bypass: Bypass,
}

/// What the proxy is not used for.
#[derive(Debug, Default)]
pub struct Bypass {
    all: bool,
    names: Vec<(String, Option<u16>)>,
}

/// Why a proxy cannot be used, or did not let a connection through. Never shows its user or password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The setting is no URL.
    #[error("the proxy's URL cannot be read")]
    Url,
    /// `https://`, `socks5://`.
    #[error("proxies of the kind `{scheme}` are not supported")]
    Scheme {
        /// As it was written.
        scheme: String,
    },
    /// Its host is neither a name nor an address.
    #[error("the proxy's host is neither a name nor an address")]
    Host(#[source] HostError),
    /// Its user or password cannot be decoded.
    #[error("the user and password in the proxy's URL cannot be decoded")]
    Userinfo,
    /// It could not be reached.
    #[error("could not reach the proxy `{0}`")]
    Unreachable(String, #[source] std::io::Error),
    /// It wants other credentials.
    #[error("the proxy wants a user and password")]
    Authentication,
    /// It said no.
    #[error("the proxy answered with status {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// It does not speak HTTP.
    #[error("the proxy's answer cannot be read")]
    Answer,
}

impl ProxyError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            ProxyError::Url | ProxyError::Scheme { .. } | ProxyError::Host(_) | ProxyError::Userinfo => {
                "write `http://host:port` or `http://user:password@host:port`, reserved characters as `%XX`".to_owned()
            }
            ProxyError::Authentication => "put user and password into `HTTPS_PROXY`".to_owned(),
            ProxyError::Refused { .. } => "ask who runs the proxy, or list the host in `NO_PROXY`".to_owned(),
            ProxyError::Unreachable(..) | ProxyError::Answer => "check `HTTPS_PROXY`".to_owned(),
        })
    }
}

impl Proxy {
    /// Takes the values of `HTTPS_PROXY` and `NO_PROXY`.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub fn parse(url: &str, no_proxy: &str) -> Result<Self, ProxyError> {
        let url = url.trim();
        let rest = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => return Err(ProxyError::Scheme { scheme: scheme.chars().take(16).collect() }),
            // curl and others take a bare `host:port` for an HTTP proxy.
            None => url,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (userinfo, place) = match authority.rsplit_once('@') {
            Some((userinfo, place)) => (Some(userinfo), place),
            None => (None, authority),
        };
        let (host, port) = place_of(place)?;
        let host = Asked::parse(host).map_err(ProxyError::Host)?;
        let userinfo = userinfo.map(secrets).transpose()?.unwrap_or_default();
        Ok(Proxy { host, port, userinfo, bypass: Bypass::parse(no_proxy) })
    }

    /// `host:port`, for messages and for `status`.
    #[must_use]
    pub fn address(&self) -> String {
        let path = http::uri::PathAndQuery::from_static("/");
        Target { scheme: Scheme::Http, host: self.host.clone(), port: self.port, path }.authority()
    }

    /// What a redactor must know.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretValue> {
        self.userinfo.iter()
    }

    /// Whether connections to `target` go through it: never to this machine, an address literal or what `NO_PROXY` lists.
    #[must_use]
    pub fn serves(&self, target: &Target) -> bool {
        match &target.host {
            Asked::Address(_) => false,
            host if host.is_localhost() => false,
            Asked::Name(name) => target.scheme == Scheme::Https && !self.bypass.holds(name, target.port),
        }
    }

    /// Asks the proxy at the other end of `io` for a tunnel to `target`.
    pub(crate) async fn tunnel<S>(&self, io: &mut S, target: &Target) -> Result<(), ProxyError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let authority = target.authority();
        let mut head = Zeroizing::new(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"));
        if let Some(userinfo) = self.userinfo.first() {
            let encoded = Zeroizing::new(STANDARD.encode(userinfo.expose()));
            head.push_str("Proxy-Authorization: Basic ");
            head.push_str(&encoded);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        let unreachable = |source| ProxyError::Unreachable(self.address(), source);
        io.write_all(head.as_bytes()).await.map_err(unreachable)?;
        io.flush().await.map_err(unreachable)?;
        // Byte by byte: what follows the head belongs to the TLS handshake and must stay in the socket.
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() == HEAD_BYTES {
                return Err(ProxyError::Answer);
            }
            answer.push(io.read_u8().await.map_err(unreachable)?);
        }
        match status(&answer).ok_or(ProxyError::Answer)? {
            200..=299 => Ok(()),
            407 => Err(ProxyError::Authentication),
            status => Err(ProxyError::Refused { status }),
        }
    }
}

/// `HTTP/1.1 200 Connection established` → 200.
fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let mut words = line.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next().filter(|code| code.len() == 3)?.parse().ok()
}

fn place_of(place: &str) -> Result<(&str, u16), ProxyError> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(ProxyError::Url)?;
        return Ok((host, port_of(port.strip_prefix(':'))?));
    }
    match place.split_once(':') {
        Some((host, port)) => Ok((host, port_of(Some(port))?)),
        None => Ok((place, port_of(None)?)),
    }
}

/// Port 80 when none is named, as for any `http` URL.
fn port_of(text: Option<&str>) -> Result<u16, ProxyError> {
    match text {
        None | Some("") => Ok(80),
        Some(text) => text.parse().ok().filter(|port| *port != 0).ok_or(ProxyError::Url),
    }
}

fn secrets(userinfo: &str) -> Result<Vec<SecretValue>, ProxyError> {
    let decoded = Zeroizing::new(percent_decode(userinfo).ok_or(ProxyError::Userinfo)?);
    let both = if decoded.contains(':') { decoded.as_str().to_owned() } else { format!("{}:", decoded.as_str()) };
    let password = both.split_once(':').map(|(_, password)| password.to_owned()).filter(|it| !it.is_empty());
    [Some(both), password]
        .into_iter()
        .flatten()
        .map(|it| SecretValue::new(it).map_err(|_| ProxyError::Userinfo))
        .collect()
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

impl Bypass {
    /// Takes the value of `NO_PROXY`: names divided by commas or spaces, each with an optional port; a name stands for
    /// itself and all below it, with or without a dot before it; `*` is everything. Addresses need no entry.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut bypass = Bypass::default();
        for entry in text.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()) {
            if entry == "*" {
                bypass.all = true;
                continue;
            }
            let (name, port) = match entry.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
                Some((name, Ok(port))) if !name.contains(':') => (name, Some(port)),
                _ => (entry, None),
            };
            let name = name.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
            bypass.names.push((name, port));
        }
        bypass
    }

    fn holds(&self, host: &str, port: u16) -> bool {
        self.all
            || self.names.iter().any(|(name, only)| {
                let below = host.strip_suffix(name.as_str()).is_some_and(|left| left.is_empty() || left.ends_with('.'));
                !name.is_empty() && below && only.is_none_or(|only| only == port)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serves(no_proxy: &str, url: &str) -> bool {
        Proxy::parse("http://proxy.example:3128", no_proxy).unwrap().serves(&Target::parse(url).unwrap())
    }

    #[test]
    fn what_goes_through_it_and_what_never_does() {
        for (no_proxy, url, want) in [
            ("", "https://api.example.com/", true),
            ("", "http://api.example.com/", false),
            ("", "https://127.0.0.1/", false),
            ("", "https://[2606:4700::1]/", false),
            ("", "https://localhost/", false),
            ("*", "https://api.example.com/", false),
            ("other.org, example.com", "https://api.example.com/", false),
            (".example.com", "https://example.com/", false),
            ("*.example.com", "https://api.example.com/", false),
            ("ample.com", "https://api.example.com/", true),
            ("example.com:8443", "https://api.example.com/", true),
            ("example.com:443", "https://api.example.com/", false),
        ] {
            assert_eq!(serves(no_proxy, url), want, "{no_proxy:?} {url}");
        }
    }

    #[test]
    fn userinfo_is_a_secret() {
        let proxy = Proxy::parse("http://me:can%40ary@proxy.example:3128/", "").unwrap();
        assert_eq!(proxy.address(), "proxy.example:3128");
        let known: Vec<_> = proxy.secrets().map(SecretValue::expose).collect();
        assert_eq!(known, ["me:can@ary", "can@ary"]);
        assert!(!format!("{proxy:?}").contains("ary"));
        assert_eq!(Proxy::parse("proxy.example", "").unwrap().address(), "proxy.example:80");
        assert_eq!(Proxy::parse("http://[::1]:3128", "").unwrap().address(), "[::1]:3128");
    }

    #[test]
    fn what_is_no_proxy() {
        assert!(matches!(Proxy::parse("socks5://p:1", ""), Err(ProxyError::Scheme { .. })));
        assert!(matches!(Proxy::parse("http://p:x", ""), Err(ProxyError::Url)));
        assert!(matches!(Proxy::parse("http://u:%zz@p:1", ""), Err(ProxyError::Userinfo)));
        assert!(matches!(Proxy::parse("http://", ""), Err(ProxyError::Host(_))));
    }

    #[test]
    fn status_lines() {
        assert_eq!(status(b"HTTP/1.1 200 Connection established\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some(407));
        for bad in [&b"SSH-2.0-x\r\n"[..], b"HTTP/1.1 2000 x\r\n", b"HTTP/1.1\r\n", b"\xff\r\n"] {
            assert_eq!(status(bad), None);
        }
    }
}
