//! What a client asks to be run; stored with the execution, without its key.

use serde::{Deserialize, Serialize};

use crate::api::runner::EnvVar;

/// Longest message of a person, in bytes.
pub const MAX_MESSAGE: usize = 256 << 10;
/// Model turns when a request names no bound.
pub const MAX_TURNS: u32 = 1_000;

/// Who lets commands start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approve {
    /// A person, each time.
    Ask,
    /// Nobody is asked.
    Auto,
    /// None starts.
    Deny,
}

impl Approve {
    /// The name on the command line and in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Approve::Ask => "ask",
            Approve::Auto => "auto",
            Approve::Deny => "deny",
        }
    }
}

/// A plugin that a request names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginRequest {
    /// Name that its tools carry.
    pub name: String,
    /// The component's file.
    pub path: String,
    /// The workspace is given for reading only.
    pub read_only: bool,
}

/// A setting of the client's own surroundings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value; never a secret.
    pub value: String,
    /// `flag`, `environment`, `config.toml`, `default`.
    pub origin: String,
}

/// One request, checked for its form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequest {
    /// Canonical path.
    pub workspace: String,
    /// The person's words.
    pub message: String,
    /// Agent; empty: the built-in one.
    pub agent: String,
    /// Its instructions.
    pub instructions: String,
    /// Folders that hold a SKILL.md.
    pub skill_dirs: Vec<String>,
    /// Plugins.
    pub plugins: Vec<PluginRequest>,
    /// Who lets commands start.
    pub approve: Approve,
    /// Provider.
    pub provider: String,
    /// Model.
    pub model: String,
    /// `full`, `base`; empty: the best that is proved.
    pub level: String,
    /// `wasi`, `filesystem`; empty: the daemon's.
    pub sandbox: String,
    /// Text of the scripted model.
    pub script: String,
    /// Bound on model turns, at least 1.
    pub max_turns: u32,
    /// Bound on tokens; 0: none.
    pub max_tokens: u64,
    /// Execution whose conversation goes on; empty: none.
    pub resume: String,
    /// Policy document; empty: the default.
    pub policy: String,
    /// Settings of the client.
    pub settings: Vec<Setting>,
    /// Environment of commands.
    pub command_env: Vec<EnvVar>,
    /// For commits.
    pub git_name: String,
    /// For commits.
    pub git_email: String,
}

impl RunRequest {
    /// The API that its provider speaks. The scripted model answers as Anthropic Messages do.
    #[must_use]
    pub fn wire(&self) -> &'static str {
        match self.provider.as_str() {
            "ollama" => "ollama",
            "openai" | "openai-compatible" => "openai",
            _ => "anthropic",
        }
    }

    /// Takes from the request that it continues what it does not say itself, so that the model meets the same tools and
    /// the same walls. Who lets commands start, and the bounds, are never taken over.
    pub fn inherit(&mut self, earlier: &RunRequest) {
        if self.sandbox.is_empty() && self.level.is_empty() {
            (self.sandbox, self.level) = (earlier.sandbox.clone(), earlier.level.clone());
        }
        if self.agent.is_empty() {
            (self.agent, self.instructions) = (earlier.agent.clone(), earlier.instructions.clone());
        }
        if self.policy.is_empty() {
            self.policy.clone_from(&earlier.policy);
        }
        if self.skill_dirs.is_empty() {
            self.skill_dirs.clone_from(&earlier.skill_dirs);
        }
        if self.plugins.is_empty() {
            self.plugins.clone_from(&earlier.plugins);
        }
    }

    /// First words of the message, at most 200 characters, on one line.
    #[must_use]
    pub fn title(&self) -> String {
        self.message
            .split_whitespace()
            .flat_map(|word| [word, " "])
            .flat_map(str::chars)
            .take(200)
            .collect::<String>()
            .trim_end()
            .to_owned()
    }
}
