//! The one door out: allow list → resolve → check → pin → dial → TLS → header.
//!
//! [`Egress::send`] carries one HTTP request of a caller whose [`Reach`] lists the host. A name that is not listed is
//! never resolved; every address that a listed name leads to is checked; the address that was checked is the one that is
//! dialled; a credential is added here, for its own host only, after the caller's own credentials were taken out.

#![deny(missing_docs)]

mod body;
mod check;
mod credential;
mod dial;
mod error;
mod limits;
mod proxy;
mod reach;
mod redirect;
mod resolve;
mod send;
mod target;
mod tls;

pub use body::Body;
pub use credential::{Credential, HeaderShape};
pub use error::{EgressError, Wait};
pub use limits::Limits;
pub use proxy::{Bypass, Proxy, ProxyError};
pub use reach::{Configured, Reach};
pub use resolve::{Resolve, SystemResolver};
pub use send::{Egress, Pin, Settings};
pub use target::{Scheme, Target, TargetError};
pub use tls::RootsError;
