//! From names to addresses.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

/// A resolver. It is asked for listed names only.
pub trait Resolve: Send + Sync + 'static {
    /// Every address of `name`, in the order to try; an empty list is the same as an error.
    fn resolve<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;
}

/// The system's own resolver (getaddrinfo(3), in a thread).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        Box::pin(async move {
            // The port is only there because the call wants one.
            Ok(tokio::net::lookup_host((name, 443)).await?.map(|address| address.ip()).collect())
        })
    }
}
