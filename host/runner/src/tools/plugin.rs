//! A plugin's exports as tools.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use stigmer_agent::{CallCtx, Changed, Output, Tool, ToolResult};
use stigmer_plugin::{CallError, CallLimits, CallOutcome, Captured, Export, Grants, Plugin};
use stigmer_policy::Wall;

/// Names of our own tools that joined words could make: as if plugins `read` and `write` offered them, so that one which
/// really does gets another name.
pub(crate) const RESERVED: [(&str, &str); 4] =
    [("read", "file"), ("write", "file"), ("edit", "file"), ("write", "todos")];

/// Text of what a guest printed that is told to the model when the call failed, in bytes.
const PRINTED_BYTES: usize = 4 << 10;

/// One export.
pub(crate) struct PluginTool {
    pub(crate) plugin: Plugin,
    pub(crate) export: Export,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) schema: Value,
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Arc<CallLimits>,
}

#[async_trait]
impl Tool for PluginTool {
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn input_schema(&self) -> &Value {
        &self.schema
    }

    async fn call(&self, ctx: CallCtx, args: Value) -> ToolResult {
        let outcome = self.plugin.call(&self.export.to_string(), &args, &self.grants, &self.limits).await;
        for (stream, printed) in [(Output::Stdout, &outcome.stdout), (Output::Stderr, &outcome.stderr)] {
            if !printed.bytes.is_empty() {
                ctx.output(stream, printed.text()).await;
            }
        }
        result(outcome)
    }
}

fn result(outcome: CallOutcome) -> ToolResult {
    let mut result = match &outcome.result {
        Ok(value) => ToolResult::ok(value.to_string()),
        Err(error) => {
            let mut text = format!("Error: {error}");
            if let Some(hint) = error.hint() {
                text.push_str(&format!(" ({hint})"));
            }
            // A guest's panic message is what it printed last; its own `err` needs no more words.
            if !matches!(error, CallError::Guest(_) | CallError::Arguments(_)) {
                text.push_str(&printed(&outcome.stderr));
            }
            ToolResult::error(text)
        }
    };
    // A refusal that the guest lived with is told as well: the model may otherwise take half a result for a whole one.
    for denial in &outcome.denials {
        result.text.push_str(&format!("\n[Denied: {denial}]"));
    }
    if let Some(hint) = &outcome.hint {
        result.text.push_str(&format!("\n({hint})"));
    }
    if outcome.changed.more {
        let kept = outcome.changed.paths.len();
        result.text.push_str(&format!("\n[It changed more than {kept} files; the record says `shell` for the others]"));
    }
    let changed = outcome.changed.paths.iter();
    result.changed = changed.map(|path| Changed { path: path.to_string(), wall: Wall::Plugin }).collect();
    result.denials = outcome.denials;
    result
}

fn printed(stderr: &Captured) -> String {
    let text = stderr.text();
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    format!("\nIt printed:\n{}", &text[text.ceil_char_boundary(text.len().saturating_sub(PRINTED_BYTES))..])
}
