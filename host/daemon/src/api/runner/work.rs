//! What a runner is asked to do.

/// The work of one runner process.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Work {
    /// Run an agent.
    Execution(Box<ExecutionWork>),
    /// Call one export of one plugin.
    PluginCall {
        /// The plugin.
        plugin: PluginWork,
        /// The tool's name, or `interface#function`.
        export: String,
        /// JSON object.
        arguments: Vec<u8>,
        /// `stigmer_policy::Policy` as JSON.
        policy: Vec<u8>,
        /// `full`, `base`, `filesystem`.
        level: String,
        /// The granted folder, as the jail names it.
        workspace: String,
    },
    /// List the exports of a component.
    PluginInspect {
        /// Name that its tools carry.
        name: String,
        /// Descriptor of the component's memfd in the runner.
        wasm_fd: u32,
    },
    /// Compile a component; the result is its code.
    Compile {
        /// Descriptor of the component's memfd in the runner.
        wasm_fd: u32,
    },
}

/// One execution, for its runner.
#[derive(Debug, Clone, Default)]
pub struct ExecutionWork {
    /// Its name.
    pub id: String,
    /// `stigmer_policy::Policy` as JSON.
    pub policy: Vec<u8>,
    /// `full`, `base`, `filesystem`.
    pub level: String,
    /// Path of the workspace, the same string in every wall.
    pub workspace: String,
    /// HOME in the jail.
    pub home: String,
    /// TMPDIR in the jail.
    pub scratch: String,
    /// Whole environment of commands.
    pub command_env: Vec<EnvVar>,
    /// Provider.
    pub provider: String,
    /// `anthropic`, `openai`, `ollama`.
    pub wire: String,
    /// Model.
    pub model: String,
    /// Instructions of the agent; empty: the built-in ones.
    pub instructions: String,
    /// Skills, in the order of the prompt.
    pub skills: Vec<SkillWork>,
    /// Plugins.
    pub plugins: Vec<PluginWork>,
    /// The person's words.
    pub message: String,
    /// `ask`, `auto`, `deny`.
    pub approve: String,
    /// Bound; 0: the default.
    pub max_turns: u32,
    /// Bound; 0: none.
    pub max_tokens: u64,
    /// 1 for the first runner.
    pub attempt: u32,
    /// Scratch was lost with the former jail.
    pub scratch_lost: bool,
    /// Protected list, for the prompt.
    pub protected: Vec<String>,
}

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EnvVar {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// One skill.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SkillWork {
    /// Its name.
    pub name: String,
    /// For the prompt.
    pub description: String,
    /// Folder, as commands see it.
    pub path: String,
}

/// One plugin.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PluginWork {
    /// Name that its tools carry.
    pub name: String,
    /// sha256 of the component, lower-case hex.
    pub digest: String,
    /// Descriptor of its code's memfd in the runner.
    pub code_fd: u32,
    /// Its tools, as JSON.
    pub tools: Vec<u8>,
    /// The workspace is given for reading only.
    pub read_only: bool,
    /// Hosts that it may ask for, `name:port`.
    pub hosts: Vec<String>,
}
