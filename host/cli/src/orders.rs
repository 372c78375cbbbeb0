//! What the command line tells a daemon that it starts, and what it hears back.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One message on the new daemon's stdin. Its environment is empty: nothing but this reaches it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    /// Folder of the daemon.
    pub(crate) stigmer_home: PathBuf,
    /// Home of the person.
    pub(crate) home: PathBuf,
    /// Name, value, origin; for `local status`.
    pub(crate) settings: Vec<(String, String, String)>,
    pub(crate) sandbox: Sandbox,
    /// Values of HTTPS_PROXY and NO_PROXY.
    pub(crate) proxy: Option<(String, String)>,
    /// Value of SSL_CERT_FILE.
    pub(crate) extra_roots: Option<PathBuf>,
}

/// The sandbox as the probes found it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sandbox {
    pub(crate) kind: String,
    pub(crate) level: stigmer_policy::Level,
    pub(crate) proved: Vec<String>,
    pub(crate) not_prevented: Vec<String>,
}

/// One line on the daemon's stdout, then nothing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Clients are answered from now on.
    Ready { pid: u32 },
    /// It does not start.
    Failed { message: String },
    /// Another daemon has the home.
    Held { pid: String },
}
