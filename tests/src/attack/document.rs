//! `attack.toml`, as written.

use std::collections::BTreeMap;

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
    /// Levels to run at; those of `wasi` when left out.
    #[serde(default)]
    pub levels: Vec<String>,
    /// Programs without which it is skipped by name.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Why the fixture can only be made by root; an ordinary user's run is skipped by name.
    pub needs_root: Option<String>,
    /// Variables of the person's environment, beside the usual ones.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
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
/// `{abstract}` and `{witness}` stand for this run's, `{stigmer}` for the product, `{level}` for the flags that choose
/// the level, `{long-name}` and `{long-path}` for what no kernel call takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Who acts.
    #[serde(default = "command")]
    pub wall: Wall,
    /// The promise that it attacks, where it is not the scenario's.
    pub promise: Option<Promise>,
    /// For a command: shell text.
    #[serde(default)]
    pub run: String,
    /// The person's own shell runs the text, which starts the product itself: `{stigmer} sandbox exec {level} -- …`.
    #[serde(default)]
    pub outer: bool,
    /// For a file tool: `read`, `put`, `delete`, `ls`, `grep`.
    pub verb: Option<String>,
    /// For a file tool: the path.
    pub path: Option<String>,
    /// The path as hexadecimal digits, where TOML cannot hold it.
    pub path_hex: Option<String>,
    /// For `put`: what is written; for `grep`: the regular expression.
    #[serde(default)]
    pub content: String,
    /// For a file tool: two names that are exchanged without pause while it is called again and again. It must then
    /// meet both of them, and of what it refuses each must be one of `cases`.
    #[serde(default)]
    pub swap: Vec<String>,
    /// For `swap`: the cases that it may refuse with.
    #[serde(default)]
    pub cases: Vec<String>,
    /// For a plugin: the guest, by its file's name without the ending.
    pub guest: Option<String>,
    /// For a plugin: the function that is called. The guest is given the workspace for writing.
    pub export: Option<String>,
    /// For a plugin: the arguments, a JSON object.
    #[serde(default = "no_arguments")]
    pub arguments: String,
    /// For a plugin that is refused nothing by rule because it is given nothing to be refused: the value it gets, as
    /// JSON.
    pub gives: Option<String>,
    /// The rule of the denial. For a command the policy is asked for `request`.
    pub denied_by: Option<String>,
    /// What the policy is asked, `read PATH`, `write PATH`, `connect HOST:PORT`, `env NAME`, `unix PATH`.
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
    /// The exit code that it must have.
    pub code: Option<i32>,
    /// Seconds within which it must have ended.
    pub within: Option<f64>,
    /// Where its promise is open the act must work, so that the table claims no less than what is there.
    #[serde(default)]
    pub works_when_open: bool,
    /// Not let loose where nothing would end it: the machine that runs the tests is the person's.
    #[serde(default)]
    pub only_when_prevented: bool,
    /// The script as a whole may end with 0 though the act in it failed.
    #[serde(default)]
    pub may_exit_well: bool,
    /// For a control: the host's listener must have been reached.
    #[serde(default)]
    pub reaches_host: bool,
}

fn no_arguments() -> String {
    "{}".to_owned()
}

fn command() -> Wall {
    Wall::Command
}
