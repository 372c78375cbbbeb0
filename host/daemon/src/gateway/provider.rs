//! The providers: where they are, what is asked there, how they want their key.

use std::sync::Arc;

use stigmer_egress::{Configured, Credential, HeaderShape, Limits, Reach, Scheme, Target, TargetError};
use stigmer_policy::HostRule;
use stigmer_secrets::SecretValue;

/// Language of a provider's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wire {
    /// Anthropic Messages; also that of the scripted model.
    Anthropic,
    /// OpenAI chat completions.
    OpenAi,
    /// Ollama's own.
    Ollama,
}

impl Wire {
    /// The name as it stands in an execution's spec.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Wire::Anthropic => "anthropic",
            Wire::OpenAi => "openai",
            Wire::Ollama => "ollama",
        }
    }

    /// The paths that models are asked at, below the base URL. No other is open: a provider's key can do more than ask
    /// models (files, batches, organisation).
    #[must_use]
    pub fn paths(self) -> &'static [&'static str] {
        match self {
            Wire::Anthropic => &["/v1/messages", "/v1/messages/count_tokens"],
            Wire::OpenAi => &["/chat/completions"],
            Wire::Ollama => &["/api/chat"],
        }
    }

    /// The headers of a runner's request that go on.
    #[must_use]
    pub fn kept_headers(self) -> &'static [&'static str] {
        match self {
            Wire::Anthropic => &["content-type", "accept", "anthropic-version", "anthropic-beta"],
            Wire::OpenAi | Wire::Ollama => &["content-type", "accept"],
        }
    }
}

/// Base URL of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Target);

/// Why a text is no base URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not a URL.
    #[error("the base URL cannot be used")]
    Url(#[from] TargetError),
    /// `?a=b`.
    #[error("the base URL has a query")]
    Query,
}

impl Endpoint {
    /// Takes a base URL; a `/` at its end is dropped. `host:port` and a bare address mean `http`, as in `OLLAMA_HOST`.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        let url = url.trim();
        let whole = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let target = Target::parse(&whole)?;
        if target.path.query().is_some() {
            return Err(EndpointError::Query);
        }
        Ok(Endpoint(target))
    }

    /// Host and port, as a host rule names them.
    pub(super) fn place(&self) -> (String, u16) {
        (self.0.host_text(), self.0.port)
    }

    /// Host, when what is said there leaves this machine unencrypted: plain http to anything but loopback.
    #[must_use]
    pub fn in_the_clear(&self) -> Option<String> {
        (self.0.scheme == Scheme::Http && !self.0.is_loopback()).then(|| self.0.host_text())
    }

    /// The URL of a path below it.
    pub(super) fn join(&self, path: &str) -> String {
        let scheme = if self.0.scheme == Scheme::Https { "https" } else { "http" };
        format!("{scheme}://{}{}{path}", self.0.authority(), self.0.path.path().trim_end_matches('/'))
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.join(""))
    }
}

/// Anthropic's own endpoint.
pub const ANTHROPIC: &str = "https://api.anthropic.com";
/// OpenAI's own endpoint.
pub const OPENAI: &str = "https://api.openai.com/v1";
/// Where Ollama listens unless told otherwise.
pub const OLLAMA: &str = "http://127.0.0.1:11434";

/// One provider, set up.
#[derive(Debug, Clone)]
pub struct Provider {
    name: String,
    wire: Wire,
    endpoint: Endpoint,
    typed: bool,
    wants_key: bool,
    key: Option<Arc<SecretValue>>,
    key_from: Option<String>,
}

impl Provider {
    /// Anthropic; `base` when the person named another endpoint.
    #[must_use]
    pub fn anthropic(base: Option<Endpoint>, key: Option<Arc<SecretValue>>) -> Self {
        Provider::built("anthropic", Wire::Anthropic, base, ANTHROPIC, key)
    }

    /// OpenAI; `base` when the person named another endpoint.
    #[must_use]
    pub fn openai(base: Option<Endpoint>, key: Option<Arc<SecretValue>>) -> Self {
        Provider::built("openai", Wire::OpenAi, base, OPENAI, key)
    }

    /// Any server that speaks OpenAI chat completions. It may want no key.
    #[must_use]
    pub fn compatible(base: Endpoint, key: Option<Arc<SecretValue>>) -> Self {
        let built = Provider::built("openai-compatible", Wire::OpenAi, Some(base), OPENAI, key);
        Provider { wants_key: false, ..built }
    }

    /// Ollama; `base` is `OLLAMA_BASE_URL`.
    #[must_use]
    pub fn ollama(base: Option<Endpoint>) -> Self {
        Provider { wants_key: false, ..Provider::built("ollama", Wire::Ollama, base, OLLAMA, None) }
    }

    fn built(name: &str, wire: Wire, base: Option<Endpoint>, own: &str, key: Option<Arc<SecretValue>>) -> Self {
        let typed = base.is_some();
        let endpoint = base.unwrap_or_else(|| Endpoint::parse(own).expect("the providers' own base URLs are URLs"));
        Provider { name: name.to_owned(), wire, endpoint, typed, wants_key: true, key, key_from: None }
    }

    /// The name that executions use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its language.
    #[must_use]
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether it wants a key that is not here.
    #[must_use]
    pub fn needs_key(&self) -> bool {
        self.wants_key && self.key.is_none()
    }

    /// The same, saying where its key came from: shown when the provider refuses it.
    #[must_use]
    pub fn with_key_from(mut self, origin: impl Into<String>) -> Self {
        self.key_from = Some(origin.into());
        self
    }

    /// Where the key came from, when there is one.
    pub(super) fn key_from(&self) -> Option<&str> {
        self.key_from.as_deref().filter(|_| self.key.is_some())
    }

    /// The key, for the redactor.
    pub(super) fn key(&self) -> Option<&SecretValue> {
        self.key.as_deref()
    }

    /// What a call may reach: this endpoint alone, listed by the act of setting it up.
    pub(super) fn reach(&self, limits: Limits) -> Reach {
        let (host, port) = self.endpoint.place();
        let shape = match self.wire {
            Wire::Anthropic => HeaderShape::XApiKey,
            Wire::OpenAi | Wire::Ollama => HeaderShape::Bearer,
        };
        let credential =
            self.key.as_ref().map(|key| Credential { host: host.clone(), port, shape, value: Arc::clone(key) });
        Reach {
            hosts: vec![HostRule { host: host.clone(), ports: vec![port] }],
            credentials: credential.into_iter().map(Arc::new).collect(),
            redirects: 0,
            configured: Some(Configured { host, port, typed: self.typed }),
            limits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_in_their_spellings() {
        for (text, want) in [
            ("https://api.anthropic.com", "https://api.anthropic.com:443/v1/messages"),
            ("http://127.0.0.1:11434/", "http://127.0.0.1:11434/v1/messages"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080/v1/messages"),
            ("https://gw.example/llm/", "https://gw.example:443/llm/v1/messages"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().join("/v1/messages"), want);
        }
        assert_eq!(Endpoint::parse("https://a.example/?k=v"), Err(EndpointError::Query));
        assert!(matches!(Endpoint::parse("https://u:p@a.example/"), Err(EndpointError::Url(TargetError::User))));
    }

    #[test]
    fn what_leaves_the_machine_unencrypted() {
        for (url, host) in [
            ("http://192.168.1.7:8080/v1", Some("192.168.1.7")),
            ("http://models.lan", Some("models.lan")),
            ("http://[fd00::1]:1", Some("fd00::1")),
            ("https://192.168.1.7:8080", None),
            ("http://127.0.0.1:11434", None),
            ("http://[::1]:11434", None),
            ("http://localhost:11434", None),
        ] {
            assert_eq!(Endpoint::parse(url).unwrap().in_the_clear().as_deref(), host, "{url}");
        }
    }

    #[test]
    fn a_provider_reaches_its_own_endpoint_and_nothing_else() {
        let key = Some(Arc::new(SecretValue::new("sk-x").unwrap()));
        let reach = Provider::anthropic(None, key).reach(Limits::default());
        assert_eq!(reach.hosts, [HostRule { host: "api.anthropic.com".to_owned(), ports: vec![443] }]);
        assert_eq!(reach.credentials[0].shape, HeaderShape::XApiKey);
        assert!(!reach.configured.unwrap().typed && reach.redirects == 0);
        assert!(Provider::openai(None, None).needs_key());
        assert!(!Provider::ollama(None).needs_key());
    }
}
