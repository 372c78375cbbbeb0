//! The one place that dials.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use stigmer_policy::host::Asked;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::check;
use crate::error::EgressError;
use crate::proxy::{Proxy, ProxyError};
use crate::reach::Reach;
use crate::resolve::Resolve;
use crate::send::Pin;
use crate::target::{Scheme, Target};

/// A connection, whatever it is made of.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Makes the connection for `target`, which [`check::listed`] has let pass.
pub(crate) async fn dial(
    reach: &Reach,
    target: &Target,
    resolver: &dyn Resolve,
    proxy: Option<&Proxy>,
    tls: Option<Arc<ClientConfig>>,
) -> Result<(Box<dyn Io>, Pin), EgressError> {
    let through = proxy.filter(|it| reach.configured.as_ref().is_some_and(|only| only.is(target)) && it.serves(target));
    let (stream, pin) = match through {
        Some(proxy) => (through_proxy(proxy, target, resolver).await?, Pin::ByProxy),
        None => {
            let found = lookup(resolver, &target.host).await?;
            let checked = check::addresses(reach, target, &found)?;
            let (stream, address) = connect(&checked)
                .await
                .map_err(|source| EgressError::Connect { target: target.to_string(), source })?;
            (stream, Pin::Address(address))
        }
    };
    match (target.scheme, tls) {
        (Scheme::Http, _) => Ok((Box::new(stream), pin)),
        (Scheme::Https, None) => {
            let source = io::Error::other("no certificates were loaded");
            Err(EgressError::Tls { target: target.to_string(), source })
        }
        (Scheme::Https, Some(config)) => {
            let tls_error = |source| EgressError::Tls { target: target.to_string(), source };
            let name = server_name(&target.host).map_err(tls_error)?;
            let secure = TlsConnector::from(config).connect(name, stream).await.map_err(tls_error)?;
            Ok((Box::new(secure), pin))
        }
    }
}

async fn lookup(resolver: &dyn Resolve, host: &Asked) -> Result<Vec<std::net::IpAddr>, EgressError> {
    match host {
        Asked::Address(address) => Ok(vec![*address]),
        Asked::Name(name) => match resolver.resolve(name).await {
            Ok(found) if found.is_empty() => Err(EgressError::Resolve { name: name.clone(), source: None }),
            Ok(found) => Ok(found),
            Err(source) => Err(EgressError::Resolve { name: name.clone(), source: Some(source) }),
        },
    }
}

/// The proxy's own address is not checked: the person typed it, and proxies live in private networks.
async fn through_proxy(proxy: &Proxy, target: &Target, resolver: &dyn Resolve) -> Result<TcpStream, EgressError> {
    let found = lookup(resolver, &proxy.host).await?;
    let addresses: Vec<_> = found.into_iter().map(|address| SocketAddr::new(address, proxy.port)).collect();
    let failed = |source| EgressError::Proxy { target: target.to_string(), source };
    let (mut stream, _) =
        connect(&addresses).await.map_err(|source| failed(ProxyError::Unreachable(proxy.address(), source)))?;
    proxy.tunnel(&mut stream, target).await.map_err(failed)?;
    Ok(stream)
}

/// Tries the addresses in order; the error is the last one's.
async fn connect(addresses: &[SocketAddr]) -> io::Result<(TcpStream, SocketAddr)> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match to(*address).await {
            Ok(stream) => {
                // Requests are written whole: waiting for more only delays them.
                stream.set_nodelay(true)?;
                return Ok((stream, *address));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[expect(clippy::disallowed_methods, reason = "the one door out: dials addresses that were checked, never names")]
async fn to(address: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect(address).await
}

fn server_name(host: &Asked) -> io::Result<ServerName<'static>> {
    match host {
        Asked::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        Asked::Name(name) => ServerName::try_from(name.clone()).map_err(io::Error::other),
    }
}
