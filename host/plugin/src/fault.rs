//! Why a call gave no value: each cause its own kind, with what a person or a model needs to go on.

use std::any::Any;

use serde_json::Value;
use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::engine::{CORE_INSTANCES_PER_CALL, WASM_STACK_BYTES};
use crate::inspect::Tool;
use crate::json::{ArgumentError, WriteError};
use crate::limits::{HANDLES, Limit, LimitError, Meter};
use crate::plugin::Plugin;

/// Why a call gave no value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The plugin has no such tool.
    #[error("plugin `{plugin}` has no tool `{tool}`")]
    UnknownTool {
        /// The plugin.
        plugin: String,
        /// What was asked for.
        tool: String,
        /// The nearest that it has.
        nearest: Option<String>,
    },
    /// Several functions have the bare name that was asked for.
    #[error("plugin `{plugin}` has several tools called `{function}`")]
    Ambiguous {
        /// The plugin.
        plugin: String,
        /// What was asked for.
        function: String,
        /// The tools that have it.
        tools: Vec<String>,
    },
    /// The arguments are not what the function takes.
    #[error(transparent)]
    Arguments(ArgumentError),
    /// The function returned its `err`: it ran, and says no.
    #[error("{}", said(.0))]
    Guest(Value),
    /// The call went over a bound and was ended.
    #[error(transparent)]
    Limit(LimitError),
    /// The guest broke off.
    #[error(transparent)]
    Trap(TrapError),
    /// The guest ended the program instead of returning.
    #[error("the function ended the program with exit code {code}")]
    Exit {
        /// 0 or 1: WASI 0.2 knows no others.
        code: i32,
    },
    /// A fault of ours; this call is over, others go on.
    #[error("the host failed during the call: {message}")]
    Host {
        /// What is known.
        message: String,
    },
}

impl CallError {
    /// What to do about it, for a person.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            CallError::UnknownTool { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            CallError::Ambiguous { tools, .. } => Some(format!("name one of `{}`", tools.join("`, `"))),
            CallError::Limit(limit) => limit.hint(),
            _ => None,
        }
    }
}

/// A guest that broke off: what it was doing, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{export}` of plugin `{plugin}` broke off: {kind}")]
pub struct TrapError {
    /// The plugin.
    pub plugin: String,
    /// The export, as WIT names it.
    pub export: String,
    /// The kind of trap, in wasmtime's words.
    pub kind: String,
    /// Frames of the guest, innermost first; empty when the trap came before its first instruction.
    pub backtrace: Vec<String>,
}

/// Text is shown as it is, a case of a variant that holds text as `case: text`, anything else as JSON.
fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "the function reported an error without a value".to_owned(),
        Value::Object(fields) if fields.len() == 1 => match fields.iter().next() {
            Some((case, Value::String(text))) => format!("{case}: {text}"),
            _ => value.to_string(),
        },
        value => value.to_string(),
    }
}

pub(crate) fn unknown_tool(plugin: &Plugin, tool: &str) -> CallError {
    let same = plugin.tools().iter().filter(|it| it.export.function == tool).map(|it| it.name.clone());
    let same: Vec<_> = same.collect();
    if !same.is_empty() {
        let (plugin, function) = (plugin.inspection().plugin.clone(), tool.to_owned());
        return CallError::Ambiguous { plugin, function, tools: same };
    }
    let names = plugin.tools().iter().flat_map(|tool| [tool.name.clone(), tool.export.function.clone()]);
    let nearest = names.map(|name| (distance(&name, tool), name)).min().filter(|(far, _)| *far <= tool.len() / 3 + 1);
    // A bare function name is what people type; what works is the tool's name.
    let nearest = nearest.map(|(_, name)| {
        let found = plugin.tools().iter().find(|tool| tool.name == name || tool.export.function == name);
        found.map_or(name, |tool| tool.name.clone())
    });
    CallError::UnknownTool { plugin: plugin.inspection().plugin.clone(), tool: tool.to_owned(), nearest }
}

/// Edits from one word to another (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let change = corner + usize::from(from != *to);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

pub(crate) fn host_panic(panic: &(dyn Any + Send)) -> CallError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message = text.or_else(|| panic.downcast_ref::<String>().cloned());
    CallError::Host { message: message.unwrap_or_else(|| "a panic without a message".to_owned()) }
}

pub(crate) fn unwritable(error: WriteError) -> CallError {
    CallError::Host { message: error.to_string() }
}

/// Sorts what wasmtime reports into our kinds.
pub(crate) fn classify(plugin: &Plugin, tool: &Tool, meter: &Meter, error: &wasmtime::Error) -> CallError {
    if let Some(limit) = error.downcast_ref::<LimitError>() {
        return CallError::Limit(limit.clone());
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return CallError::Exit { code: exit.0 };
    }
    let fixed = |limit, allowed: usize| CallError::Limit(LimitError { limit, allowed: allowed as u64, wanted: None });
    if matches!(error.downcast_ref::<ResourceTableError>(), Some(ResourceTableError::Full)) {
        return fixed(Limit::HostResources, meter.limits.host_resources);
    }
    let trap = error.downcast_ref::<Trap>().copied();
    match trap {
        Some(Trap::Interrupt) => return CallError::Limit(meter.time_error()),
        Some(Trap::StackOverflow) => return fixed(Limit::Stack, WASM_STACK_BYTES),
        // A guest that is refused memory gives up in its own way, mostly by `unreachable`.
        Some(Trap::UnreachableCodeReached | Trap::MemoryOutOfBounds | Trap::TableOutOfBounds) | None => {
            if let Some(refused) = &meter.refused {
                return CallError::Limit(refused.clone());
            }
        }
        _ => {}
    }
    // These have no type of their own in wasmtime 48; tests hold the wording.
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return fixed(Limit::HostCall, meter.limits.host_call_bytes);
    }
    if text.contains("store handle limit exceeded") {
        return fixed(Limit::Handles, HANDLES);
    }
    if text.contains("resource limit exceeded") {
        return fixed(Limit::Instances, CORE_INSTANCES_PER_CALL as usize);
    }
    let backtrace = error.downcast_ref::<WasmBacktrace>().map(frames).unwrap_or_default();
    let kind = match trap {
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None => error.root_cause().to_string(),
    };
    CallError::Trap(TrapError {
        plugin: plugin.inspection().plugin.clone(),
        export: tool.export.to_string(),
        kind,
        backtrace,
    })
}

/// One line per frame, with names demangled.
fn frames(backtrace: &WasmBacktrace) -> Vec<String> {
    let text = backtrace.to_string();
    let lines =
        text.lines().map(str::trim).filter(|line| line.split_once(':').is_some_and(|(n, _)| n.parse::<u32>().is_ok()));
    lines.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{distance, said};

    #[test]
    fn what_a_guest_says_is_shown_as_words_where_it_holds_any() {
        for (value, want) in [
            (json!("no"), "no"),
            (json!(null), "the function reported an error without a value"),
            (json!({"malformed": "row 2: no"}), "malformed: row 2: no"),
            (json!({"limit": {"name": "rows"}}), r#"{"limit":{"name":"rows"}}"#),
            (json!({"a": "b", "c": "d"}), r#"{"a":"b","c":"d"}"#),
            (json!(["x"]), r#"["x"]"#),
        ] {
            assert_eq!(said(&value), want, "{value}");
        }
    }

    #[test]
    fn counts_edits() {
        for (a, b, want) in
            [("", "", 0), ("a", "", 1), ("profile", "profil", 1), ("query", "quuery", 1), ("abc", "cba", 2)]
        {
            assert_eq!(distance(a, b), want, "{a} {b}");
        }
    }
}
