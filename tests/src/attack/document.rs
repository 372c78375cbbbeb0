//! `attack.toml`, as written.

use serde::Deserialize;
use stigmer_policy::{Promise, Wall};

/// One scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// Its number in the list of promises; several when one scenario shows several.
    pub row: Vec<String>,
    /// What makes it worth trying.
    pub why: String,
    /// The promise that it attacks.
    pub promise: Promise,
    /// Levels to run at; all when left out.
    #[serde(default)]
    pub levels: Vec<String>,
    /// Programs without which it is skipped by name.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Shell text that prepares the person's folders, without walls.
    pub setup: Option<String>,
    /// What the host offers: `tcp`, `udp`, `unix`, `unix-datagram`, `abstract`, `witness`.
    #[serde(default)]
    pub host: Vec<String>,
    /// Acts that must be refused.
    #[serde(default)]
    pub r#try: Vec<Step>,
    /// Acts that must work, inside.
    #[serde(default)]
    pub twin: Vec<Step>,
    /// The tries' own acts without walls, which must work.
    #[serde(default)]
    pub control: Vec<Step>,
}

/// One act.
///
/// In every text `{workspace}`, `{outside}`, `{home}`, `{canary}`, `{tcp}`, `{udp}`, `{unix}`, `{unix-datagram}`,
/// `{abstract}` and `{witness}` stand for this run's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Who acts.
    #[serde(default = "command")]
    pub wall: Wall,
    /// For a command: shell text.
    #[serde(default)]
    pub run: String,
    /// For a file tool: `read`, `put`, `delete`, `ls`.
    pub verb: Option<String>,
    /// For a file tool: the path.
    pub path: Option<String>,
    /// For `put`.
    #[serde(default)]
    pub content: String,
    /// The rule of the denial. For a command the policy is asked for `request`.
    pub denied_by: Option<String>,
    /// For a command: what the policy is asked, `read PATH`, `write PATH`, `connect HOST:PORT`, `env NAME`, `unix PATH`.
    pub request: Option<String>,
    /// For a file tool that refuses without a rule: the error's case.
    pub case: Option<String>,
    /// Paths whose content must be what it was.
    #[serde(default)]
    pub unchanged: Vec<String>,
    /// Texts that must be in the output.
    #[serde(default)]
    pub says: Vec<String>,
    /// Texts that must not be in the output.
    #[serde(default)]
    pub never_says: Vec<String>,
    /// The script as a whole may end with 0 though the act in it failed.
    #[serde(default)]
    pub may_exit_well: bool,
    /// For a control: the host's listener must have been reached.
    #[serde(default)]
    pub reaches_host: bool,
}

fn command() -> Wall {
    Wall::Command
}
