//! Sending one request.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, Version};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use stigmer_secrets::SecretValue;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::body::{Body, Bounds, Connection};
use crate::check;
use crate::credential;
use crate::dial::{Io, dial};
use crate::error::{EgressError, Wait};
use crate::limits::{HEADER_FIELDS, Limits};
use crate::proxy::Proxy;
use crate::reach::Reach;
use crate::redirect::{self, Hop};
use crate::resolve::{Resolve, SystemResolver};
use crate::target::{Scheme, Target, TargetError};
use crate::tls::{self, RootsError};

/// Smallest bound that hyper takes for its read buffer, in bytes.
const HYPER_FLOOR: usize = 8 << 10;

/// What a process decides once. The environment is read by the caller.
#[derive(Debug, Default)]
pub struct Settings {
    /// Value of `SSL_CERT_FILE`: certificates trusted besides the system's.
    pub extra_roots: Option<PathBuf>,
    /// From `HTTPS_PROXY` and `NO_PROXY`.
    pub proxy: Option<Proxy>,
}

/// What holds the connection to the address that was checked. Stands in the extensions of each response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// This address was checked and dialled.
    Address(SocketAddr),
    /// The proxy resolved the name: the address is its business.
    ByProxy,
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pin::Address(address) => write!(f, "address pin: {address}"),
            Pin::ByProxy => f.write_str("address pin: by the proxy"),
        }
    }
}

/// The door. One per process; cheap to share behind an `Arc`.
pub struct Egress {
    resolver: Arc<dyn Resolve>,
    proxy: Option<Proxy>,
    extra: Vec<CertificateDer<'static>>,
    tls: OnceCell<Arc<ClientConfig>>,
}

impl Egress {
    /// A door with the system's resolver.
    ///
    /// # Errors
    /// The file of further certificates is unusable. (The system's own are read at the first secure connection.)
    pub fn new(settings: Settings) -> Result<Self, RootsError> {
        Egress::with_resolver(settings, Arc::new(SystemResolver))
    }

    /// A door with another resolver.
    ///
    /// # Errors
    /// As [`Egress::new`].
    pub fn with_resolver(settings: Settings, resolver: Arc<dyn Resolve>) -> Result<Self, RootsError> {
        let extra = settings.extra_roots.as_deref().map(tls::extra).transpose()?.unwrap_or_default();
        Ok(Egress { resolver, proxy: settings.proxy, extra, tls: OnceCell::new() })
    }

    /// The proxy in use, for status and promise notes.
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// What a redactor must know of this door: the proxy's user and password.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretValue> {
        self.proxy.iter().flat_map(Proxy::secrets)
    }

    /// Sends a request with an absolute URL. The response's head is here when this returns; its body streams. Its
    /// extensions hold a [`Pin`].
    ///
    /// The caller's headers go through, but for credentials and those of the connection. Redirects are handed back as
    /// they are, unless `reach` says how many to follow.
    ///
    /// # Errors
    /// [`EgressError`]; [`EgressError::denial`] tells a refusal from a failure.
    pub async fn send(&self, reach: &Reach, request: Request<Bytes>) -> Result<Response<Body>, EgressError> {
        let (parts, body) = request.into_parts();
        let target = Target::of(&parts.uri).map_err(|error| match &error {
            TargetError::Host { host, port, .. } => check::unreadable(reach, host, *port).unwrap_or(error.into()),
            _ => error.into(),
        })?;
        let mut hop = Hop { target, method: parts.method, headers: parts.headers, body };
        let deadline = Instant::now() + reach.limits.whole;
        let mut left = reach.redirects;
        loop {
            let response = self.once(reach, hop.clone(), deadline).await?;
            if reach.redirects == 0 {
                return Ok(response);
            }
            match redirect::next(&hop, response.status(), response.headers())? {
                None => return Ok(response),
                Some(_) if left == 0 => {
                    let target = hop.target.to_string();
                    return Err(EgressError::Redirect { target, reason: "there were too many before it" });
                }
                Some(next) => hop = next,
            }
            left -= 1;
        }
    }

    async fn once(&self, reach: &Reach, hop: Hop, deadline: Instant) -> Result<Response<Body>, EgressError> {
        let Limits { connect, first_byte, request_bytes, .. } = reach.limits;
        let target = hop.target.clone();
        check::listed(reach, &target)?;
        if hop.body.len() > request_bytes {
            let limit = request_bytes as u64;
            return Err(EgressError::TooLarge { target: target.to_string(), what: "request", limit });
        }
        let request = assemble(reach, hop)?;
        let late = |wait, limit| EgressError::Timeout { target: target.to_string(), wait, limit };
        let (io, pin) =
            timeout(connect, self.dial(reach, &target)).await.map_err(|_| late(Wait::Connect, connect))??;
        let mut response = timeout(first_byte, exchange(io, request, reach, &target, deadline))
            .await
            .map_err(|_| late(Wait::FirstByte, first_byte))??;
        response.extensions_mut().insert(pin);
        Ok(response)
    }

    async fn dial(&self, reach: &Reach, target: &Target) -> Result<(Box<dyn Io>, Pin), EgressError> {
        let tls = match target.scheme {
            Scheme::Http => None,
            Scheme::Https => {
                let loaded = self.tls.get_or_try_init(|| async {
                    let extra = self.extra.clone();
                    let loading = tokio::task::spawn_blocking(move || tls::config(&extra));
                    match loading.await {
                        Ok(config) => config.map(Arc::new),
                        Err(_) => Err(RootsError::None),
                    }
                });
                Some(Arc::clone(loaded.await.map_err(EgressError::Roots)?))
            }
        };
        dial(reach, target, &*self.resolver, self.proxy.as_ref(), tls).await
    }
}

/// The request as it goes out.
fn assemble(reach: &Reach, hop: Hop) -> Result<Request<Full<Bytes>>, EgressError> {
    let mut headers = hop.headers;
    credential::strip(&mut headers);
    credential::inject(&mut headers, &hop.target, &reach.credentials)?;
    // A checked name and a number are always a legal header value.
    if let Ok(host) = hop.target.host_header().parse() {
        headers.insert(http::header::HOST, host);
    }
    let mut request = Request::new(Full::new(hop.body));
    *request.method_mut() = if hop.method == Method::CONNECT { Method::GET } else { hop.method };
    *request.uri_mut() = hop.target.path.into();
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    Ok(request)
}

async fn exchange(
    io: Box<dyn Io>,
    request: Request<Full<Bytes>>,
    reach: &Reach,
    target: &Target,
    deadline: Instant,
) -> Result<Response<Body>, EgressError> {
    let limits = &reach.limits;
    let head_limit = limits.header_bytes.max(HYPER_FLOOR);
    let broken = |source: hyper::Error| {
        let target = target.to_string();
        if source.is_parse_too_large() {
            return EgressError::TooLarge { target, what: "head of the response", limit: head_limit as u64 };
        }
        EgressError::Broken { target, source }
    };
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(head_limit)
        .max_headers(HEADER_FIELDS)
        .handshake(TokioIo::new(io))
        .await
        .map_err(broken)?;
    // The connection's own error reaches the caller through the request or the body.
    let connection = Connection(tokio::spawn(async move { drop(connection.await) }));
    let response = sender.send_request(request).await.map_err(broken)?;
    let bounds = Bounds {
        target: target.to_string(),
        idle: limits.idle,
        whole: limits.whole,
        deadline,
        bytes: limits.response_bytes,
    };
    Ok(response.map(|incoming| Body::new(incoming, connection, bounds)))
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").field("proxy", &self.proxy.as_ref().map(Proxy::address)).finish_non_exhaustive()
    }
}
