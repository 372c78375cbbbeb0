//! Which provider an execution gets when nobody says.

use std::time::Duration;

use bytes::Bytes;
use stigmer_egress::{Configured, Egress, Limits, Reach};
use stigmer_policy::HostRule;
use stigmer_secrets::{Origin, SecretName};

use super::call::SCRIPT;
use super::provider::Endpoint;

/// How long a local Ollama may take to show that it is there.
pub const PROBE_TIME: Duration = Duration::from_millis(300);

/// The providers that can be named, in the order in which a key decides.
pub const PROVIDERS: &[&str] = &["anthropic", "openai", "openai-compatible", "ollama", SCRIPT];

/// Largest answer to the probe, in bytes.
const PROBE_BYTES: u64 = 64 << 10;

/// What is known before the choice. Gathered by the caller; looking costs nothing here.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// `--provider`, or the provider that `--model script:…` means.
    pub flag: Option<String>,
    /// `STIGMER_LLM_PROVIDER`.
    pub environment: Option<String>,
    /// `llm_provider` of `config.toml`.
    pub config: Option<String>,
    /// Providers with a key in an environment variable, and the variable.
    pub environment_keys: Vec<(String, String)>,
    /// Providers with a key in the keyring.
    pub keyring_keys: Vec<String>,
    /// Whether `OLLAMA_BASE_URL` is set.
    pub ollama_named: bool,
    /// Whether an Ollama answered; `None`: not asked.
    pub ollama_answers: Option<bool>,
}

/// A provider, and why this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its name.
    pub provider: String,
    /// Why.
    pub why: Why,
}

/// What decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// `--provider`.
    Flag,
    /// `STIGMER_LLM_PROVIDER`.
    Environment,
    /// `config.toml`.
    Config,
    /// It is the first with a key.
    Key(Origin),
    /// An Ollama runs here.
    Running,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Why::Flag => f.write_str("flag `--provider`"),
            Why::Environment => f.write_str("environment variable `STIGMER_LLM_PROVIDER`"),
            Why::Config => f.write_str("config.toml"),
            Why::Key(origin) => write!(f, "key found: {origin}"),
            Why::Running => f.write_str("a running Ollama"),
        }
    }
}

/// Why there is no provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoProvider {
    /// A name that no provider has.
    #[error("`{name}` of {by} is no provider")]
    Unknown {
        /// As it was written.
        name: String,
        /// Where.
        by: Why,
    },
    /// Nothing was named, and nothing found.
    #[error("no provider was named, no key was found, and no Ollama answers")]
    Nothing,
}

impl NoProvider {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            NoProvider::Unknown { .. } => format!("there are {}", PROVIDERS.join(", ")),
            NoProvider::Nothing => {
                "set ANTHROPIC_API_KEY or OPENAI_API_KEY, run `stigmer secret set anthropic`, or start Ollama"
                    .to_owned()
            }
        })
    }
}

/// Chooses: flag, environment, configuration; then the first provider with a key, in the environment before the keyring;
/// then a running Ollama. A named `OLLAMA_BASE_URL` that answers goes before keys in the keyring: it was set for now.
///
/// # Errors
/// [`NoProvider`].
pub fn choose(facts: &Facts) -> Result<Choice, NoProvider> {
    for (named, why) in [(&facts.flag, Why::Flag), (&facts.environment, Why::Environment), (&facts.config, Why::Config)]
    {
        if let Some(name) = named {
            // The scripted model is per run and by flag alone: a forgotten setting must not stand in for a model.
            let known = PROVIDERS.contains(&name.as_str()) && (name != SCRIPT || why == Why::Flag);
            return if known {
                Ok(Choice { provider: name.clone(), why })
            } else {
                Err(NoProvider::Unknown { name: name.clone(), by: why })
            };
        }
    }
    let ollama = || Choice { provider: "ollama".to_owned(), why: Why::Running };
    let answers = facts.ollama_answers == Some(true);
    let keyed = |provider: &str, origin| Choice { provider: provider.to_owned(), why: Why::Key(origin) };
    let in_environment = |provider: &&str| facts.environment_keys.iter().find(|(name, _)| name == provider);
    if let Some((provider, variable)) = PROVIDERS.iter().find_map(in_environment) {
        return Ok(keyed(provider, Origin::Environment(variable.clone())));
    }
    if facts.ollama_named && answers {
        return Ok(ollama());
    }
    if let Some(provider) = PROVIDERS.iter().find(|provider| facts.keyring_keys.iter().any(|name| name == **provider)) {
        return Ok(keyed(provider, Origin::Keyring));
    }
    if answers { Ok(ollama()) } else { Err(NoProvider::Nothing) }
}

/// The name under which a provider's key is kept.
#[must_use]
pub fn key_name(provider: &str) -> Option<SecretName> {
    SecretName::new(provider).ok()
}

/// Whether an Ollama answers at `base`, within [`PROBE_TIME`].
pub async fn ollama_answers(egress: &Egress, base: &Endpoint) -> bool {
    let (host, port) = base.place();
    let limits = Limits {
        connect: PROBE_TIME,
        first_byte: PROBE_TIME,
        whole: PROBE_TIME,
        response_bytes: PROBE_BYTES,
        ..Limits::default()
    };
    let reach = Reach {
        hosts: vec![HostRule { host: host.clone(), ports: vec![port] }],
        configured: Some(Configured { host, port, typed: true }),
        limits,
        ..Reach::default()
    };
    let Ok(request) = http::Request::get(base.join("/api/version")).body(Bytes::new()) else { return false };
    let asking = async {
        let response = egress.send(&reach, request).await.ok().filter(|response| response.status().is_success())?;
        let body = response.into_body().collect().await.ok()?;
        // Another server at that port is no Ollama.
        serde_json::from_slice::<serde_json::Value>(&body).ok()?.get("version").map(|_| ())
    };
    matches!(tokio::time::timeout(PROBE_TIME, asking).await, Ok(Some(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&it| it.to_owned()).collect()
    }

    #[test]
    fn the_order_of_the_facts() {
        let keys = vec![("openai".to_owned(), "OPENAI_API_KEY".to_owned())];
        let mut facts = Facts {
            flag: Some("ollama".to_owned()),
            environment: Some("openai".to_owned()),
            config: Some("anthropic".to_owned()),
            environment_keys: keys,
            keyring_keys: names(&["anthropic"]),
            ollama_named: true,
            ollama_answers: Some(true),
        };
        let chosen = |facts: &Facts| choose(facts).map(|it| (it.provider, it.why.to_string())).unwrap();
        let is = |provider: &str, why: &str| (provider.to_owned(), why.to_owned());
        assert_eq!(chosen(&facts), is("ollama", "flag `--provider`"));
        facts.flag = None;
        assert_eq!(chosen(&facts), is("openai", "environment variable `STIGMER_LLM_PROVIDER`"));
        facts.environment = None;
        assert_eq!(chosen(&facts), is("anthropic", "config.toml"));
        facts.config = None;
        assert_eq!(chosen(&facts), is("openai", "key found: environment variable `OPENAI_API_KEY`"));
        facts.environment_keys.clear();
        assert_eq!(chosen(&facts), is("ollama", "a running Ollama"));
        facts.ollama_named = false;
        assert_eq!(chosen(&facts), is("anthropic", "key found: OS keyring"));
        facts.keyring_keys.clear();
        assert_eq!(chosen(&facts), is("ollama", "a running Ollama"));
        facts.ollama_answers = Some(false);
        assert_eq!(choose(&facts), Err(NoProvider::Nothing));
    }

    #[test]
    fn unknown_names_and_a_script_that_nobody_typed() {
        let named = |name: &str| Facts { environment: Some(name.to_owned()), ..Facts::default() };
        assert!(matches!(choose(&named("gpt")), Err(NoProvider::Unknown { .. })));
        assert!(matches!(choose(&named(SCRIPT)), Err(NoProvider::Unknown { .. })));
        let flag = Facts { flag: Some(SCRIPT.to_owned()), ..Facts::default() };
        assert_eq!(choose(&flag).unwrap().provider, SCRIPT);
        assert!(choose(&Facts::default()).unwrap_err().hint().is_some());
    }
}
