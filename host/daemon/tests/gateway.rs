//! The model gateway against a local server.

mod gateway {
    mod fixtures;
    mod script;
    mod wires;

    use std::sync::Arc;

    use futures::StreamExt as _;
    use stigmer_daemon::ExecutionId;
    use stigmer_daemon::gateway::{
        Budget, Endpoint, Gateway, GatewayError, ModelCall, ModelReply, Provider, Script, Session, Spent,
    };
    use stigmer_egress::{Egress, Limits, Settings};
    use stigmer_secrets::SecretValue;

    pub const KEY: &str = "sk-canary-0123456789";

    pub fn key() -> Option<Arc<SecretValue>> {
        Some(Arc::new(SecretValue::new(KEY).unwrap()))
    }

    pub fn endpoint(url: &str) -> Option<Endpoint> {
        Some(Endpoint::parse(url).unwrap())
    }

    pub fn gateway(provider: Option<Provider>, limits: Limits) -> Gateway {
        let gateway = Gateway::new(Arc::new(Egress::new(Settings::default()).unwrap()), limits);
        provider.into_iter().for_each(|provider| gateway.set_provider(provider));
        gateway
    }

    pub fn open(
        gateway: &Gateway,
        provider: &str,
        turns: u32,
        tokens: Option<u64>,
        script: Option<Script>,
    ) -> ExecutionId {
        let execution = ExecutionId::new();
        let budget = Arc::new(Budget::new(turns, tokens, Spent::default()));
        let session = Session { provider: provider.to_owned(), model: "m-1".to_owned(), budget, script };
        gateway.open(execution.clone(), session);
        execution
    }

    pub fn call(execution: &ExecutionId, provider: &str, path: &str) -> ModelCall {
        ModelCall {
            execution: execution.clone(),
            provider: provider.to_owned(),
            model: "m-1".to_owned(),
            path: path.to_owned(),
            headers: [
                ("content-type", "application/json"),
                ("authorization", "Bearer placeholder"),
                ("x-api-key", "placeholder"),
                ("anthropic-version", "2023-06-01"),
                ("x-stainless-lang", "rust"),
                ("host", "evil.example"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            body: r#"{"model":"m-1","stream":true,"messages":[{"role":"user","content":"go"}]}"#.into(),
        }
    }

    pub async fn text(reply: ModelReply) -> Result<String, (String, GatewayError)> {
        let mut body = reply.body;
        let mut seen = Vec::new();
        while let Some(piece) = body.next().await {
            match piece {
                Ok(piece) => seen.extend_from_slice(&piece),
                Err(error) => {
                    // A cut may fall inside a character.
                    let whole = std::str::from_utf8(&seen).map_or_else(|error| error.valid_up_to(), str::len);
                    seen.truncate(whole);
                    return Err((String::from_utf8(seen).unwrap(), error));
                }
            }
        }
        Ok(String::from_utf8(seen).unwrap())
    }
}

#[expect(dead_code, reason = "shared with other crates' tests, which use other parts of it")]
#[path = "../../../tests/src/model_server.rs"]
mod model_server;
