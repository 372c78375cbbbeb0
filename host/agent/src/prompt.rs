//! The system prompt. Pure: equal settings give equal bytes, and nothing in it changes from one run to the next (no date,
//! id or version), so that the provider's cache hits across executions too.

use std::fmt::Write;
use std::time::Duration;

use stigmer_policy::Level;

/// What the model has to know of where it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// Path of the workspace, the same string in file tools and commands.
    pub workspace: String,
    /// Path of the scratch folder, the value of TMPDIR.
    pub scratch: String,
    /// How much of the wall stands.
    pub level: Level,
    /// Names of the protected list, as they read below the workspace.
    pub protected: Vec<String>,
    /// Time that one command may take.
    pub command_time: Duration,
    /// Skills at hand, in the order in which they are named.
    pub skills: Vec<SkillLine>,
    /// The agent's own instructions; empty when it has none.
    pub instructions: String,
}

/// A skill as the prompt names it; its body is read when needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkillLine {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its folder, as file tools and commands see it.
    pub path: String,
}

/// Writes the system prompt.
#[must_use]
pub fn system_prompt(around: &Surroundings) -> String {
    let mut out = String::from(
        "You are an agent that works with files and commands on a person's own machine. You are confined: what you may \
         read, change and reach is decided by a policy that you cannot alter. Do the task with the tools you have, check \
         what you did, and say plainly what was done and what was not.\n",
    );
    section(&mut out, "Where you are");
    line(&mut out, &format!("Workspace: `{}`. Relative paths count from here; commands start here.", around.workspace));
    line(&mut out, &format!("Scratch: `{}`. For temporary files; it is removed at the end.", around.scratch));
    line(&mut out, level(around.level));
    line(&mut out, network(around.level));
    if !around.protected.is_empty() {
        let names: Vec<String> = around.protected.iter().map(|name| format!("`{name}`")).collect();
        line(&mut out, &format!("Protected, readable but not to be changed by any means: {}.", names.join(", ")));
    }
    section(&mut out, "Commands");
    line(
        &mut out,
        &format!(
            "`execute` runs `/bin/sh -c` without a terminal or input. Nothing but files outlives a call: no variables, no \
             folder changes, no background processes. A command has {} s.",
            around.command_time.as_secs()
        ),
    );
    line(&mut out, "Prefer the file tools for reading, searching and editing; independent calls may be made together.");
    section(&mut out, "Refusals");
    line(
        &mut out,
        "A refused tool call reads `Denied: REASON (rule `NAME`)`. The rule is not a fault to work around: the same thing \
         is refused to every tool. Find a way within the rules, or say what you would need.",
    );
    if around.level != Level::Filesystem {
        line(
            &mut out,
            "Inside a command a refusal is the system's own error, such as `Permission denied` or `Read-only file system`.",
        );
    }
    if !around.skills.is_empty() {
        section(&mut out, "Skills");
        out.push_str("Instructions for certain work. When one fits, read its `SKILL.md` first and follow it.\n");
        for skill in &around.skills {
            let description = skill.description.split_whitespace().collect::<Vec<_>>().join(" ");
            line(&mut out, &format!("{}: {description} (`{}/SKILL.md`)", skill.name, skill.path));
        }
    }
    let instructions = around.instructions.trim();
    if !instructions.is_empty() {
        section(&mut out, "Instructions");
        out.push_str(instructions);
        out.push('\n');
    }
    out
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Full => {
            "Walls: full. Commands see the workspace, scratch, an empty home and the system's own files, and nothing else of \
             this machine."
        }
        Level::Base => {
            "Walls: base. Commands can reach the workspace, scratch and the system's own files; other paths are refused. \
             There are no local TCP connections and no `ps`."
        }
        Level::Filesystem => {
            "Walls: file tools only. Commands are ordinary processes of this machine and not confined: stay inside the \
             workspace and scratch by yourself."
        }
    }
}

fn network(level: Level) -> &'static str {
    match level {
        Level::Full => "Network: off. Only connections between processes of one command work.",
        Level::Base => "Network: off.",
        Level::Filesystem => "Network: not to be used.",
    }
}

fn section(out: &mut String, title: &str) {
    // Writing to a `String` cannot fail.
    let _ = write!(out, "\n## {title}\n");
}

fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "- {text}");
}

#[cfg(test)]
mod tests;
