//! The daemon's life: take the home folder, open what is stored, go on with what was left, serve, stop.
#![expect(clippy::disallowed_methods, reason = "a composition root: the daemon owns its home folder")]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stigmer_proto::local::local_server::LocalServer;
use stigmer_sandbox::prepare::RunFolder;
use tokio::net::UnixListener;
use tokio::sync::watch;

use crate::api::local::LocalApi;
use crate::api::peer;
use crate::audit::{AuditError, AuditLog};
use crate::home::{Home, HomeError};
use crate::id::now_ms;
use crate::request::Setting;
use crate::store::{Durability, Store, StoreError};
use crate::supervisor::Supervisor;
use crate::supervisor::jail::JailStarter;
use crate::supervisor::ports::{Prepare, Upstreams};

/// Longest request of a client, in bytes: a message, a script, a policy and an environment.
const MAX_REQUEST: usize = 4 << 20;
/// Time for open answers to be read after the daemon was told to stop.
const FAREWELL: Duration = Duration::from_secs(2);

/// All that a daemon is made from. Settings and environment are read by the program's entry, never here.
pub struct DaemonConfig {
    /// `STIGMER_HOME`.
    pub home: PathBuf,
    /// Version of the program.
    pub version: String,
    /// Effective settings, for `status`.
    pub settings: Vec<Setting>,
    /// What holds here, for `status`.
    pub sandbox: SandboxState,
    /// What a commit survives.
    pub durability: Durability,
    /// Starts jails.
    pub jails: Arc<dyn JailStarter>,
    /// Turns requests into work.
    pub prepare: Arc<dyn Prepare>,
    /// The ways out.
    pub upstreams: Arc<dyn Upstreams>,
}

/// The sandbox as probes found it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SandboxState {
    /// `wasi` or `filesystem`.
    pub kind: String,
    /// `full`, `base`, `filesystem`.
    pub level: String,
    /// Layers that a live probe has proved.
    pub proved: Vec<String>,
    /// Promises that the level does not prevent, as `promise: strength`.
    pub not_prevented: Vec<String>,
}

/// What `status` tells.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) version: String,
    pub(crate) home: String,
    pub(crate) endpoint: String,
    pub(crate) started_ms: i64,
    pub(crate) settings: Vec<Setting>,
    pub(crate) sandbox: SandboxState,
}

/// Why the daemon did not start or could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The home folder cannot be used, or another daemon has it.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The audit log does not hold.
    #[error("could not open the audit log")]
    Audit(#[from] AuditError),
    /// The database cannot be used.
    #[error("could not open the store")]
    Store(#[from] StoreError),
    /// The socket could not be made.
    #[error("could not listen on `{path}`")]
    Listen {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Serving ended by an error.
    #[error("could not serve")]
    Serve(#[from] tonic::transport::Error),
}

/// Serves until `shutdown` completes or a client asks to stop. `ready` is called once, when clients are answered.
///
/// On the way out every tree is ended, executions are left for the next daemon, and the socket is removed.
///
/// # Errors
/// [`ServeError`]; [`HomeError::Held`] when a daemon serves this home already.
pub async fn serve(
    config: DaemonConfig,
    ready: impl FnOnce(&Home),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let home = Home::open(&config.home)?;
    let _lock = home.lock()?;
    let swept = home.path().to_owned();
    let swept = tokio::task::spawn_blocking(move || RunFolder::sweep(&swept)).await;
    let swept = swept.map_err(std::io::Error::other).and_then(|swept| swept);
    swept.map_err(|source| HomeError::Open { path: home.path().join("run"), source })?;
    let audit = AuditLog::open(&home.audit())?;
    let store = Arc::new(Store::open(&home.database(), config.durability, audit, Arc::default())?);
    let upstreams = config.upstreams.clone();
    store.redact_with(move || upstreams.redactor());
    let supervisor = Supervisor::new(home.clone(), store, config.jails, config.prepare, config.upstreams.clone());
    let listener = listen(&home)?;
    let (closing, mut closed) = watch::channel(false);
    let about = Arc::new(About {
        version: config.version,
        home: home.path().display().to_string(),
        endpoint: format!("unix://{}", home.socket().display()),
        started_ms: now_ms(),
        settings: config.settings,
        sandbox: config.sandbox,
    });
    let upstreams = config.upstreams;
    let api = LocalApi { about, supervisor: supervisor.clone(), upstreams, closing: closing.clone() };
    let service = LocalServer::new(api).max_decoding_message_size(MAX_REQUEST);
    let mut asked = closing.subscribe();
    let stop = async move {
        // The sender lives as long as the service: an error cannot come first.
        let _ = asked.wait_for(|closing| *closing).await;
    };
    let server = tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming_shutdown(peer::of_this_user(listener), stop);
    let server = tokio::spawn(server);
    supervisor.go_on().await?;
    ready(&home);
    tokio::select! {
        () = shutdown => {}
        _ = closed.wait_for(|closing| *closing) => {}
    }
    supervisor.stop().await;
    closing.send_replace(true);
    // A client that keeps its connection open does not keep the daemon.
    let served = tokio::time::timeout(FAREWELL, server).await;
    let removed = std::fs::remove_file(home.socket());
    if let Err(error) = removed {
        tracing::warn!(error = %error, "could not remove the socket");
    }
    match served {
        Ok(Ok(result)) => Ok(result?),
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

/// Binds the socket. A file that an earlier daemon left is ours to replace: we hold the lock.
fn listen(home: &Home) -> Result<UnixListener, ServeError> {
    let path = home.socket();
    let bind = || {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    bind().map_err(|source| ServeError::Listen { path: path.clone(), source })
}

#[cfg(test)]
mod tests;
