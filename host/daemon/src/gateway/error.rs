//! Why a model call was refused or failed.

use stigmer_egress::EgressError;
use stigmer_policy::Denial;

use super::script::ScriptFailure;

/// Why a model call was refused or failed before or instead of an answer. Texts are safe to hand to a runner: no
/// secrets, no host paths.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// Nothing was opened under that name, or it is over.
    #[error("the execution `{execution}` has no model")]
    UnknownExecution {
        /// As it was asked for.
        execution: String,
    },
    /// Another provider than the execution's.
    #[error("the execution's provider is `{expected}`, not `{asked}`")]
    Provider {
        /// The execution's.
        expected: String,
        /// As it was asked for.
        asked: String,
    },
    /// Another model than the execution's.
    #[error("the execution's model is `{expected}`, not `{asked}`")]
    Model {
        /// The execution's.
        expected: String,
        /// As the call or its body named it.
        asked: String,
    },
    /// The path is not one that models are asked at.
    #[error("the path `{path}` is not open at the provider `{provider}`")]
    Path {
        /// The provider.
        provider: String,
        /// As it was asked for.
        path: String,
    },
    /// The body is no JSON object with one `model`.
    #[error("the request's body is not a JSON object with one `model`")]
    Body(#[source] serde_json::Error),
    /// No settings of that provider are known.
    #[error("the provider `{provider}` is not set up")]
    NotSetUp {
        /// The provider.
        provider: String,
    },
    /// The provider wants a key and there is none: the execution waits for one.
    #[error("there is no key for the provider `{provider}`")]
    NeedsKey {
        /// The provider.
        provider: String,
    },
    /// The execution's budget is spent.
    #[error("the limit `{name}` of {limit} is reached ({used} used)")]
    Limit {
        /// `max-turns` or `max-tokens`.
        name: &'static str,
        /// Used so far.
        used: u64,
        /// The bound.
        limit: u64,
    },
    /// More calls at once than an execution may have.
    #[error("more than {limit} model calls are open at once")]
    TooManyOpen {
        /// The bound.
        limit: u32,
    },
    /// The scripted model saw something else than its script expects. Ends the execution.
    #[error("the scripted model stopped")]
    Script(#[source] Box<ScriptFailure>),
    /// The request did not get through.
    #[error("could not reach the provider `{provider}`")]
    Egress {
        /// The provider.
        provider: String,
        /// Why.
        source: Box<EgressError>,
    },
}

impl From<ScriptFailure> for GatewayError {
    fn from(failure: ScriptFailure) -> Self {
        GatewayError::Script(Box::new(failure))
    }
}

impl GatewayError {
    /// The refusal by policy, when that is what it is.
    #[must_use]
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            GatewayError::Egress { source, .. } => source.denial(),
            _ => None,
        }
    }

    /// Name of the bound, when the budget is spent.
    #[must_use]
    pub fn limit(&self) -> Option<&'static str> {
        match self {
            GatewayError::Limit { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Whether the same call may succeed when sent again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            GatewayError::Egress { source, .. } => source.is_transient(),
            GatewayError::TooManyOpen { .. } => true,
            _ => false,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            GatewayError::Egress { provider, source }
                if provider == "ollama" && matches!(**source, EgressError::Connect { .. }) =>
            {
                Some("start it with `ollama serve`, or name its address by OLLAMA_BASE_URL".to_owned())
            }
            GatewayError::Egress { source, .. } => source.hint(),
            GatewayError::NeedsKey { provider } => Some(format!("store it with `stigmer secret set {provider}`")),
            GatewayError::Limit { name, .. } => Some(format!("start with a larger `--{name}`")),
            GatewayError::Script(failure) => failure.hint(),
            _ => None,
        }
    }
}
