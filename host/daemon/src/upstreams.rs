//! The ways out of an execution: its model through the gateway, and nothing for its plugins yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use stigmer_egress::EgressError;
use stigmer_policy::{Policy, Rule};
use stigmer_secrets::{Redactor, SecretName, SecretValue};

use crate::ExecutionId;
use crate::api::runner::{
    CallFailure, ExecutionWork, FailureKind, Model, ModelCall, NoHttp, Part, Parts, PluginCall, PluginHttp,
};
use crate::gateway::{self, Budget, Endpoint, Gateway, GatewayError, Provider, Script, Session, Spent};
use crate::request::RunRequest;
use crate::store::{Observer, Store, StoreError, Usage};
use crate::supervisor::ports::{ProviderState, SecretError, UpstreamError, Upstreams};

/// Name of the provider that is the scripted model.
const SCRIPT: &str = "script";

/// Ways out through one [`Gateway`]. Keys live here and in the gateway, for this daemon's life.
#[derive(Debug)]
pub struct GatewayUpstreams {
    gateway: Arc<Gateway>,
    secrets: Mutex<BTreeMap<String, Kept>>,
}

#[derive(Debug, Clone)]
struct Kept {
    value: Arc<SecretValue>,
    origin: String,
}

impl GatewayUpstreams {
    /// Ways out without any key.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>) -> Self {
        GatewayUpstreams { gateway, secrets: Mutex::default() }
    }

    fn kept(&self, name: &str) -> Option<Kept> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The provider as the request's own settings describe it, with the key that is kept under its name.
    fn provider(&self, request: &RunRequest) -> Result<Provider, UpstreamError> {
        let base = |setting: &str| {
            let found = request.settings.iter().find(|it| it.name == setting && !it.value.is_empty());
            let parsed = found.map(|it| {
                Endpoint::parse(&it.value).map_err(|error| UpstreamError::Invalid(format!("{setting}: {error}")))
            });
            parsed.transpose()
        };
        let kept = self.kept(&request.provider);
        let key = kept.as_ref().map(|kept| Arc::clone(&kept.value));
        let provider = match request.provider.as_str() {
            "anthropic" => Ok(Provider::anthropic(base("ANTHROPIC_BASE_URL")?, key)),
            "openai" => Ok(Provider::openai(base("OPENAI_BASE_URL")?, key)),
            "ollama" => Ok(Provider::ollama(base("OLLAMA_BASE_URL")?)),
            "openai-compatible" => match base("OPENAI_BASE_URL")? {
                Some(base) => Ok(Provider::compatible(base, key)),
                None => Err(UpstreamError::Invalid("`openai-compatible` needs OPENAI_BASE_URL".to_owned())),
            },
            other => Err(UpstreamError::Invalid(format!("there is no provider `{other}`"))),
        };
        provider.map(|provider| match kept {
            Some(kept) => provider.with_key_from(kept.origin),
            None => provider,
        })
    }
}

#[async_trait]
impl Upstreams for GatewayUpstreams {
    fn check(&self, request: &RunRequest) -> Result<(), UpstreamError> {
        if request.provider == SCRIPT {
            return Ok(());
        }
        let provider = self.provider(request)?;
        if provider.needs_key() {
            return Err(UpstreamError::NeedsKey { provider: request.provider.clone() });
        }
        self.gateway.set_provider(provider);
        Ok(())
    }

    async fn model(
        &self,
        execution: &ExecutionId,
        request: &RunRequest,
        work: &ExecutionWork,
        store: &Arc<Store>,
    ) -> Result<Arc<dyn Model>, UpstreamError> {
        self.check(request)?;
        let script = if request.provider == SCRIPT {
            let places = [("WORKSPACE", &work.workspace), ("SCRATCH", &work.scratch), ("HOME", &work.home)];
            let places = places.map(|(name, path)| (name.to_owned(), path.clone())).into();
            let parsed = Script::parse(&request.script, &places);
            let spoken = spoken(execution, request, store).await;
            let spoken = spoken.map_err(|error| UpstreamError::Invalid(chain(&error)))?;
            Some(
                parsed
                    .map(|script| script.after(spoken.0, spoken.1))
                    .map_err(|error| UpstreamError::Invalid(chain(&error)))?,
            )
        } else {
            None
        };
        // What earlier runners, also of an earlier daemon, have spent counts against the same bounds.
        let used = store.usage(execution).await.map_err(|error| UpstreamError::Invalid(chain(&error)))?;
        let spent = Spent {
            turns: u32::try_from(used.turns).unwrap_or(u32::MAX),
            input: used.input,
            cache_read: used.cache_read,
            cache_write: used.cache_write,
            output: used.output,
            estimated: false,
        };
        let max_tokens = (request.max_tokens != 0).then_some(request.max_tokens);
        // What a runner began and did not live to see the end of is known to the budget alone.
        let budget = self.gateway.budget(execution);
        let budget = budget.unwrap_or_else(|| Arc::new(Budget::new(request.max_turns, max_tokens, spent)));
        let session = self.gateway.open(
            execution.clone(),
            Session { provider: request.provider.clone(), model: request.model.clone(), budget, script },
        );
        let (gateway, store, execution) = (self.gateway.clone(), store.clone(), execution.clone());
        Ok(Arc::new(GatewayModel { gateway, session, store, execution }))
    }

    fn http(&self, execution: &ExecutionId, _: &Policy, store: &Arc<Store>) -> Arc<dyn PluginHttp> {
        Arc::new(ClosedHttp { store: store.clone(), execution: execution.clone() })
    }

    fn left(&self, execution: &ExecutionId) -> Option<String> {
        let left = self.gateway.left(execution)?;
        Some(left.hint().map_or(left.to_string(), |hint| format!("{left} ({hint})")))
    }

    fn close(&self, execution: &ExecutionId) {
        self.gateway.close(execution);
    }

    fn set_secret(&self, name: &str, value: &str, origin: &str) -> Result<(), SecretError> {
        let name = SecretName::new(name).map_err(|error| SecretError(chain(&error)))?;
        let value = Arc::new(SecretValue::new(value).map_err(|error| SecretError(chain(&error)))?);
        let kept = Kept { value, origin: origin.to_owned() };
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string(), kept);
        Ok(())
    }

    fn secrets(&self) -> Vec<(String, String)> {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.iter().map(|(name, kept)| (name.clone(), kept.origin.clone())).collect()
    }

    fn redactor(&self) -> Redactor {
        self.gateway.redactor()
    }

    fn delete_secret(&self, name: &str) -> bool {
        let removed = self.secrets.lock().unwrap_or_else(PoisonError::into_inner).remove(name).is_some();
        // The gateway forgets the key too: its providers hold the only other copy.
        for provider in self.gateway.providers().into_iter().filter(|provider| provider.name() == name) {
            let base = Some(provider.endpoint().clone());
            match name {
                "anthropic" => self.gateway.set_provider(Provider::anthropic(base, None)),
                "openai" => self.gateway.set_provider(Provider::openai(base, None)),
                "openai-compatible" => {
                    self.gateway.set_provider(Provider::compatible(provider.endpoint().clone(), None));
                }
                _ => {}
            }
        }
        removed
    }

    fn providers(&self) -> Vec<ProviderState> {
        let state = |provider: Arc<Provider>| ProviderState {
            name: provider.name().to_owned(),
            endpoint: provider.endpoint().to_string(),
            key_origin: self.kept(provider.name()).map(|kept| kept.origin).unwrap_or_default(),
        };
        self.gateway.providers().into_iter().map(state).collect()
    }
}

struct GatewayModel {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    store: Arc<Store>,
    execution: ExecutionId,
}

#[async_trait]
impl Model for GatewayModel {
    async fn call(&self, call: ModelCall) -> Parts {
        if call.method != "POST" {
            let text = format!("models are asked with POST, not `{}`", call.method);
            return failed(CallFailure::new(FailureKind::BadRequest, text));
        }
        let text = |(name, value): (String, Bytes)| Some((name, String::from_utf8(value.to_vec()).ok()?));
        let call = gateway::ModelCall {
            execution: self.execution.clone(),
            provider: call.provider,
            model: call.model,
            path: call.path,
            headers: call.headers.into_iter().filter_map(text).collect(),
            body: call.body,
        };
        let reply = match self.gateway.call(call).await {
            Ok(reply) => reply,
            Err(error) => {
                note_denial(&self.store, &self.execution, error.denial(), Observer::Egress).await;
                return failed(failure(&error));
            }
        };
        // Before the first byte of it: a daemon that is killed meanwhile must not forget that the model was asked.
        note_usage(&self.store, &self.execution, self.session.budget.spent()).await;
        let headers = reply.headers.into_iter().map(|(name, value)| (name, Bytes::from(value))).collect();
        let head = Part::Head { status: reply.status, headers };
        let body = reply.body.map(|piece| match piece {
            Ok(bytes) => Part::Chunk(bytes),
            Err(error) => Part::Failed(failure(&error)),
        });
        let end = {
            let (session, store, execution) = (self.session.clone(), self.store.clone(), self.execution.clone());
            stream::once(async move {
                note_usage(&store, &execution, session.budget.spent()).await;
                Part::End
            })
        };
        // After a failure nothing follows; the end is said only of a whole body.
        let parts = stream::once(std::future::ready(head)).chain(body).chain(end);
        let until_failed = parts.scan(false, |failed, part| {
            let over = std::mem::replace(failed, matches!(part, Part::Failed(_)));
            std::future::ready((!over).then_some(part))
        });
        until_failed.boxed()
    }
}

/// How many answers of a model are in the conversation that `request` continues, and in that of the execution itself.
async fn spoken(execution: &ExecutionId, request: &RunRequest, store: &Store) -> Result<(usize, usize), StoreError> {
    let mut before = 0;
    for row in store.lineage(&request.resume).await? {
        before += store.turns_taken(&row.id).await?;
    }
    Ok((before, store.turns_taken(execution).await?))
}

async fn note_usage(store: &Store, execution: &ExecutionId, spent: Spent) {
    let used = Usage {
        turns: spent.turns.into(),
        input: spent.input,
        output: spent.output,
        cache_read: spent.cache_read,
        cache_write: spent.cache_write,
    };
    if let Err(error) = store.set_usage(execution, used).await {
        tracing::error!(error = &error as &dyn std::error::Error, "could not store what a model call used");
    }
}

async fn note_denial(
    store: &Store,
    execution: &ExecutionId,
    denial: Option<&stigmer_policy::Denial>,
    observer: Observer,
) {
    let Some(denial) = denial else { return };
    if let Err(error) = store.deny(execution, denial, observer, None, "").await {
        tracing::error!(error = &error as &dyn std::error::Error, "could not store a denial");
    }
}

/// Plugins named on the command line have no host: every request is refused, recorded and audited.
struct ClosedHttp {
    store: Arc<Store>,
    execution: ExecutionId,
}

#[async_trait]
impl PluginHttp for ClosedHttp {
    async fn call(&self, call: PluginCall) -> Parts {
        let id = call.call.clone();
        let mut parts = NoHttp.call(call).await;
        let part = parts.next().await;
        if let Some(Part::Failed(CallFailure { denial: Some(denial), .. })) = &part {
            debug_assert_eq!(denial.rule, Rule::NetworkOff);
            let wall = Some(stigmer_policy::Wall::Plugin);
            if let Err(error) = self.store.deny(&self.execution, denial, Observer::Daemon, wall, &id).await {
                tracing::error!(error = &error as &dyn std::error::Error, "could not store a denial");
            }
        }
        stream::iter(part).boxed()
    }
}

fn failed(failure: CallFailure) -> Parts {
    stream::iter([Part::Failed(failure)]).boxed()
}

fn failure(error: &GatewayError) -> CallFailure {
    let kind = match error {
        GatewayError::Limit { .. } => FailureKind::Limit,
        GatewayError::NeedsKey { .. } => FailureKind::NeedsKey,
        GatewayError::Script(_) => FailureKind::Script,
        GatewayError::TooManyOpen { .. } => FailureKind::Connect,
        GatewayError::Egress { source, .. } => match **source {
            _ if source.denial().is_some() => FailureKind::Denied,
            EgressError::Resolve { .. } => FailureKind::Dns,
            EgressError::Connect { .. } | EgressError::Proxy { .. } => FailureKind::Connect,
            EgressError::Tls { .. } | EgressError::Roots(_) => FailureKind::Tls,
            EgressError::Timeout { .. } => FailureKind::Timeout,
            EgressError::Broken { .. } => FailureKind::Cut,
            _ => FailureKind::BadRequest,
        },
        _ => FailureKind::BadRequest,
    };
    CallFailure { kind, message: chain(error), hint: error.hint().unwrap_or_default(), denial: error.denial().cloned() }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
