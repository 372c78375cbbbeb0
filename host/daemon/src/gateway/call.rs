//! One model call.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use stigmer_egress::{Egress, Limits};
use stigmer_secrets::Redactor;

use super::body::ModelField;
use super::budget::{Budget, Turn};
use super::error::GatewayError;
use super::models;
use super::provider::{Provider, Wire};
use super::reply::{ModelReply, ReplyBody, Source};
use super::script::{Script, ScriptFailure};
use super::usage::Meter;
use crate::id::ExecutionId;

/// Name of the provider that is the scripted model.
pub const SCRIPT: &str = "script";

/// Headers of an answer that a runner is given.
const HANDED_ON: &[&str] =
    &["content-type", "date", "retry-after", "retry-after-ms", "x-should-retry", "request-id", "x-request-id"];

/// Headers of ours on an error status: what the runner cannot know and the person wants to. Origins are names of variables
/// and places, never values.
const OURS: [&str; 3] = ["stigmer-provider", "stigmer-model", "stigmer-key-from"];

/// Status by which each provider says that it does not know the model.
const NOT_FOUND: u16 = 404;
/// Another header of ours, on that status: the models that the provider has.
const MODELS: &str = "stigmer-models";

/// What an execution's calls are held to.
#[derive(Debug)]
pub struct Session {
    /// Name of its provider; [`SCRIPT`] when `script` is there.
    pub provider: String,
    /// Name of its model.
    pub model: String,
    /// What it may spend.
    pub budget: Arc<Budget>,
    /// The scripted model, of this run alone.
    pub script: Option<Script>,
}

/// One call as a runner asks for it. It is always a `POST`.
#[derive(Debug, Clone)]
pub struct ModelCall {
    /// Whose call it is: known from the channel, never from what the runner says.
    pub execution: ExecutionId,
    /// Must be the execution's.
    pub provider: String,
    /// Must be the execution's.
    pub model: String,
    /// Below the base URL, one of the wire's own.
    pub path: String,
    /// The runner's headers; few are kept.
    pub headers: Vec<(String, String)>,
    /// JSON; its `model` must be the execution's.
    pub body: Bytes,
}

/// The gateway of one daemon.
#[derive(Debug)]
pub struct Gateway {
    egress: Arc<Egress>,
    limits: Limits,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    providers: BTreeMap<String, Arc<Provider>>,
    sessions: BTreeMap<ExecutionId, Arc<Session>>,
    redactor: Redactor,
}

impl Gateway {
    /// A gateway without providers.
    #[must_use]
    pub fn new(egress: Arc<Egress>, limits: Limits) -> Self {
        let state = State { redactor: Redactor::new(egress.secrets()), ..State::default() };
        Gateway { egress, limits, state: RwLock::new(state) }
    }

    /// Sets a provider up, replacing what was known under its name.
    pub fn set_provider(&self, provider: Provider) {
        self.write(|state| {
            state.providers.insert(provider.name().to_owned(), Arc::new(provider));
            let keys = state.providers.values().filter_map(|provider| provider.key());
            state.redactor = Redactor::new(keys.chain(self.egress.secrets()));
        });
    }

    /// The providers that are set up.
    #[must_use]
    pub fn providers(&self) -> Vec<Arc<Provider>> {
        self.read(|state| state.providers.values().cloned().collect())
    }

    /// Takes the keys that the gateway holds out of texts; for every sink of the daemon.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        self.read(|state| state.redactor.clone())
    }

    /// Lets an execution call its model, from now until [`Gateway::close`].
    pub fn open(&self, execution: ExecutionId, session: Session) -> Arc<Session> {
        let session = Arc::new(session);
        self.write(|state| state.sessions.insert(execution, Arc::clone(&session)));
        session
    }

    /// What the scripted model of an execution had left; `None`: nothing, or its model is no script.
    #[must_use]
    pub fn left(&self, execution: &ExecutionId) -> Option<ScriptFailure> {
        self.read(|state| state.sessions.get(execution)?.script.as_ref()?.left())
    }

    /// What an execution may spend, when it is open: the next of its runners goes on with it.
    #[must_use]
    pub fn budget(&self, execution: &ExecutionId) -> Option<Arc<Budget>> {
        self.read(|state| state.sessions.get(execution).map(|session| Arc::clone(&session.budget)))
    }

    /// Ends an execution's calls; its session, for what it spent.
    pub fn close(&self, execution: &ExecutionId) -> Option<Arc<Session>> {
        self.write(|state| state.sessions.remove(execution))
    }

    /// Sends one call. Returns when status and headers are there; the body follows as it arrives.
    ///
    /// # Errors
    /// [`GatewayError`] when the call was refused or nothing answered. An error status is an answer.
    pub async fn call(&self, call: ModelCall) -> Result<ModelReply, GatewayError> {
        let session = self
            .read(|state| state.sessions.get(&call.execution).cloned())
            .ok_or_else(|| GatewayError::UnknownExecution { execution: call.execution.as_str().to_owned() })?;
        check_names(&session, &call)?;
        if let Some(script) = &session.script {
            return self.scripted(&session, script, &call);
        }
        let provider = self
            .read(|state| state.providers.get(&session.provider).cloned())
            .ok_or_else(|| GatewayError::NotSetUp { provider: session.provider.clone() })?;
        check_path(provider.wire(), &session.provider, &call.path)?;
        if provider.needs_key() {
            return Err(GatewayError::NeedsKey { provider: session.provider.clone() });
        }
        let turn = session.budget.begin()?;
        self.send(&provider, call, turn).await
    }

    async fn send(&self, provider: &Provider, call: ModelCall, turn: Turn) -> Result<ModelReply, GatewayError> {
        let request_bytes = call.body.len();
        let mut request = http::Request::new(call.body);
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = provider
            .endpoint()
            .join(&call.path)
            .parse()
            .map_err(|_| GatewayError::Path { provider: call.provider.clone(), path: call.path.clone() })?;
        *request.headers_mut() = kept(provider.wire(), &call.headers);
        let sent = self.egress.send(&provider.reach(self.limits.clone()), request).await;
        let response = sent.map_err(|source| {
            turn.refund();
            GatewayError::Egress { provider: call.provider.clone(), source: Box::new(source) }
        })?;
        let redactor = self.redactor();
        let text = |name: &&str| {
            let value = response.headers().get(*name)?.to_str().ok()?;
            Some(((*name).to_owned(), redactor.text(value).into_owned()))
        };
        let mut headers: Vec<_> = HANDED_ON.iter().filter_map(text).collect();
        let (status, good) = (response.status().as_u16(), response.status().is_success());
        let meter = good.then(|| Meter::new(is_streamed(&headers), request_bytes));
        if !good {
            let ours = [Some(call.provider.as_str()), Some(call.model.as_str()), provider.key_from()];
            let named =
                OURS.into_iter().zip(ours).filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
            headers.extend(named);
            turn.refund();
            if status == NOT_FOUND
                && let Some(models) = models::like(&self.egress, provider, &call.model).await
            {
                headers.push((MODELS.to_owned(), redactor.text(&models).into_owned()));
            }
        }
        let source = Source::Provider(response.into_body());
        let body = ReplyBody::new(source, call.provider, redactor.stream(), turn, meter);
        Ok(ModelReply { status, headers, body })
    }

    fn scripted(&self, session: &Session, script: &Script, call: &ModelCall) -> Result<ModelReply, GatewayError> {
        check_path(Wire::Anthropic, &session.provider, &call.path)?;
        let turn = session.budget.begin()?;
        let answer = script.answer(&session.model, &call.body).inspect_err(|_| turn.refund())?;
        let headers = vec![("content-type".to_owned(), answer.content_type.to_owned())];
        let meter = Meter::new(is_streamed(&headers), call.body.len());
        let source = Source::Script(answer.pieces.into());
        let body = ReplyBody::new(source, session.provider.clone(), self.redactor().stream(), turn, Some(meter));
        Ok(ModelReply { status: 200, headers, body })
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}

fn check_names(session: &Session, call: &ModelCall) -> Result<(), GatewayError> {
    if call.provider != session.provider {
        return Err(GatewayError::Provider { expected: session.provider.clone(), asked: call.provider.clone() });
    }
    let wrong = |asked: &str| GatewayError::Model { expected: session.model.clone(), asked: asked.to_owned() };
    if call.model != session.model {
        return Err(wrong(&call.model));
    }
    let ModelField(inside) = serde_json::from_slice(&call.body).map_err(GatewayError::Body)?;
    if inside == session.model { Ok(()) } else { Err(wrong(&inside)) }
}

fn check_path(wire: Wire, provider: &str, path: &str) -> Result<(), GatewayError> {
    if wire.paths().contains(&path) {
        return Ok(());
    }
    Err(GatewayError::Path { provider: provider.to_owned(), path: path.to_owned() })
}

fn kept(wire: Wire, headers: &[(String, String)]) -> HeaderMap {
    let keeps = |name: &HeaderName| wire.kept_headers().contains(&name.as_str());
    let read = |(name, value): &(String, String)| {
        let name = name.parse::<HeaderName>().ok().filter(keeps)?;
        Some((name, HeaderValue::from_str(value).ok()?))
    };
    headers.iter().filter_map(read).collect()
}

fn is_streamed(headers: &[(String, String)]) -> bool {
    let lines = |value: &str| value.starts_with("text/event-stream") || value.starts_with("application/x-ndjson");
    headers.iter().any(|(name, value)| name == "content-type" && lines(value))
}
