//! What the supervisor stands on besides store and jails.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_trait::async_trait;
use stigmer_policy::{Level, Policy};
use stigmer_secrets::Redactor;

use crate::ExecutionId;
use crate::api::runner::{ExecutionWork, Model, PluginHttp};
use crate::request::RunRequest;
use crate::store::Store;

/// Turns a request into work: resolves the workspace, copies skills, compiles plugins, checks the policy.
#[async_trait]
pub trait Prepare: Send + Sync + 'static {
    /// Checks the request and makes what its runner needs. Asked again at each start of a new jail.
    ///
    /// # Errors
    /// [`PrepareError`]; nothing was started.
    async fn prepare(&self, execution: &ExecutionId, request: &RunRequest) -> Result<Prepared, PrepareError>;
}

/// What a request comes to.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// For the runner; the supervisor fills in id, attempt and `scratch_lost`.
    pub work: ExecutionWork,
    /// For the jail.
    pub policy: Policy,
    /// The level to build.
    pub level: Level,
    /// Code of plugins, in the order of their numbers.
    pub code: Vec<Arc<OwnedFd>>,
}

/// Why a request cannot become work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PrepareError {
    /// What is wrong with what.
    pub message: String,
    /// Advice; empty: none.
    pub hint: String,
}

/// Makes the ways out of one execution.
#[async_trait]
pub trait Upstreams: Send + Sync + 'static {
    /// Whether there is a key for what `request` asks.
    ///
    /// # Errors
    /// [`UpstreamError::NeedsKey`] when the provider has none.
    fn check(&self, request: &RunRequest) -> Result<(), UpstreamError>;
    /// The model of `request`, metered against its budget; what it uses is written to the store. `work` says what the
    /// paths in a script stand for.
    ///
    /// # Errors
    /// [`UpstreamError::NeedsKey`] when the provider has none.
    async fn model(
        &self,
        execution: &ExecutionId,
        request: &RunRequest,
        work: &ExecutionWork,
        store: &Arc<Store>,
    ) -> Result<Arc<dyn Model>, UpstreamError>;
    /// The plugins' way out, within `policy`.
    fn http(&self, execution: &ExecutionId, policy: &Policy, store: &Arc<Store>) -> Arc<dyn PluginHttp>;
    /// What the scripted model of an execution still had to say, in words; `None` for nothing, and for other models. A run
    /// that ends before its script is not the one that was written down.
    fn left(&self, execution: &ExecutionId) -> Option<String>;
    /// Forgets an execution that has ended or is not started after all.
    fn close(&self, execution: &ExecutionId);
    /// Keeps a secret for this daemon's life, replacing one of the same name.
    ///
    /// # Errors
    /// [`SecretError`] for a name or value that cannot be one.
    fn set_secret(&self, name: &str, value: &str, origin: &str) -> Result<(), SecretError>;
    /// Names of the kept secrets, with their origin; never a value.
    fn secrets(&self) -> Vec<(String, String)>;
    /// Takes the secrets that are kept now out of what is written.
    fn redactor(&self) -> Redactor {
        Redactor::default()
    }
    /// Forgets a secret; whether there was one.
    fn delete_secret(&self, name: &str) -> bool;
    /// The providers that are set up.
    fn providers(&self) -> Vec<ProviderState>;
}

/// Why a secret was not kept; never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(pub String);

/// One provider, for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderState {
    /// Its name.
    pub name: String,
    /// Its base URL.
    pub endpoint: String,
    /// Where its key came from; empty: there is none.
    pub key_origin: String,
}

/// Why there is no way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// No key for this provider.
    #[error("there is no key for `{provider}`")]
    NeedsKey {
        /// The provider.
        provider: String,
    },
    /// The request makes no sense for the gateway: unknown provider, a script that is none.
    #[error("{0}")]
    Invalid(String),
}
