//! The one table of settings and environment variables; the reference page is made from it.

/// Names a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    Mode,
    Sandbox,
    Level,
    Workspace,
    Endpoint,
    Provider,
    Model,
    OllamaUrl,
    AnthropicUrl,
    OpenAiUrl,
}

/// One setting: its names in every source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Key,
    /// As status prints it.
    pub(crate) name: &'static str,
    /// Environment variables, the stronger first.
    pub(crate) variables: &'static [&'static str],
    /// Key in `config.toml`.
    pub(crate) config: &'static str,
    /// Flag, without its dashes.
    pub(crate) flag: Option<&'static str>,
    /// Value when nobody says; `None`: it is found out, or not set.
    pub(crate) default: Option<&'static str>,
    /// What it does.
    pub(crate) meaning: &'static str,
}

/// Every setting.
pub(super) const SETTINGS: &[Row] = &[
    Row {
        key: Key::Mode,
        name: "mode",
        variables: &["MODE", "ENV"],
        config: "mode",
        flag: None,
        default: Some("local"),
        meaning: "`local` or `cloud`; ENV counts when MODE is unset and ENV is one of the two",
    },
    Row {
        key: Key::Sandbox,
        name: "sandbox",
        variables: &["SANDBOX_TYPE"],
        config: "sandbox_type",
        flag: Some("sandbox"),
        default: Some("wasi"),
        meaning: "`wasi` (jail, cap-std files, WASI) or `filesystem` (commands are not confined)",
    },
    Row {
        key: Key::Level,
        name: "level",
        variables: &[],
        config: "level",
        flag: Some("level"),
        default: None,
        meaning: "level of `wasi`: `full` or `base`; the best that this machine holds when left out",
    },
    Row {
        key: Key::Workspace,
        name: "workspace",
        variables: &["SANDBOX_ROOT_DIR"],
        config: "sandbox_root_dir",
        flag: Some("workspace"),
        default: Some("."),
        meaning: "folder that agents work on",
    },
    Row {
        key: Key::Endpoint,
        name: "endpoint",
        variables: &["STIGMER_BACKEND_ENDPOINT"],
        config: "backend_endpoint",
        flag: None,
        default: None,
        meaning: "where the daemon listens; in local mode its own socket and nothing else",
    },
    Row {
        key: Key::Provider,
        name: "provider",
        variables: &["STIGMER_LLM_PROVIDER"],
        config: "llm_provider",
        flag: Some("provider"),
        default: None,
        meaning: "`anthropic`, `openai`, `openai-compatible` or `ollama`; the first with a key when left out",
    },
    Row {
        key: Key::Model,
        name: "model",
        variables: &["STIGMER_LLM_MODEL"],
        config: "llm_model",
        flag: Some("model"),
        default: None,
        meaning: "model of the provider",
    },
    Row {
        key: Key::OllamaUrl,
        name: "ollama",
        variables: &["OLLAMA_BASE_URL"],
        config: "ollama_base_url",
        flag: None,
        default: None,
        meaning: "where Ollama listens; http://127.0.0.1:11434 when left out",
    },
    Row {
        key: Key::AnthropicUrl,
        name: "anthropic endpoint",
        variables: &["ANTHROPIC_BASE_URL"],
        config: "anthropic_base_url",
        flag: None,
        default: None,
        meaning: "another endpoint that speaks Anthropic Messages",
    },
    Row {
        key: Key::OpenAiUrl,
        name: "openai endpoint",
        variables: &["OPENAI_BASE_URL"],
        config: "openai_base_url",
        flag: None,
        default: None,
        meaning: "another endpoint that speaks OpenAI chat completions",
    },
];

/// Variables that are no settings: keys, places and the way out. Name, whether its value is a secret, meaning.
pub(super) const OTHERS: &[(&str, bool, &str)] = &[
    ("STIGMER_HOME", false, "folder of the daemon; ~/.stigmer when unset"),
    ("STIGMER_LLM_API_KEY", true, "key of the provider in use; stronger than the provider's own variable"),
    ("ANTHROPIC_API_KEY", true, "key for `anthropic`"),
    ("OPENAI_API_KEY", true, "key for `openai` and `openai-compatible`"),
    ("HTTPS_PROXY", true, "proxy for model endpoints; may hold a password"),
    ("NO_PROXY", false, "hosts that the proxy is not used for"),
    ("SSL_CERT_FILE", false, "certificates trusted besides the system's"),
];

/// The row of a setting.
pub(crate) fn row(key: Key) -> &'static Row {
    SETTINGS.iter().find(|row| row.key == key).expect("every key has a row: a test goes through them")
}

/// Whether a variable's value is meant for us. ENV is everyone's: only our own two words count.
pub(super) fn counts(variable: &str, value: &str) -> bool {
    variable != "ENV" || matches!(value, "local" | "cloud")
}

/// The table as text, for help and the reference page: every setting with its names, then the other variables.
pub(crate) fn reference() -> String {
    let mut text =
        String::from("Settings, the strongest source first: flag, environment, config.toml in STIGMER_HOME, default\n");
    for row in SETTINGS {
        let flag = row.flag.map(|flag| format!("--{flag}"));
        let names = flag.into_iter().chain(row.variables.iter().map(|name| (*name).to_owned()));
        let names: Vec<_> = names.chain([row.config.to_owned()]).collect();
        text.push_str(&format!("  {}\n      {}\n", names.join(", "), row.meaning));
    }
    text.push_str("Environment alone\n");
    for (name, secret, meaning) in OTHERS {
        let secret = if *secret { " (secret)" } else { "" };
        text.push_str(&format!("  {name}{secret}\n      {meaning}\n"));
    }
    text
}
