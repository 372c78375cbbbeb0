//! The shape of messages that chat completions and Ollama's own API share.

use serde_json::{Value, json};

use super::{Arguments, Prompt, Requested};
use crate::conversation::CallResult;

pub(super) fn tools(prompt: &Prompt<'_>) -> Value {
    let tools = prompt.tools.iter().map(|tool| {
        json!({
            "type": "function",
            "function": { "name": tool.name, "description": tool.description, "parameters": tool.input_schema },
        })
    });
    Value::Array(tools.collect())
}

/// The whole conversation; what a call came to is written by `result`.
pub(super) fn messages(prompt: &Prompt<'_>, result: fn(&CallResult) -> Value) -> Value {
    let mut messages = vec![json!({ "role": "system", "content": prompt.system })];
    for round in prompt.rounds() {
        messages.push(json!({ "role": "user", "content": round.message }));
        for step in &round.steps {
            messages.push(step.message.clone());
            messages.extend(step.results.iter().map(result));
            messages.extend(step.note.iter().map(|note| json!({ "role": "user", "content": note })));
        }
    }
    Value::Array(messages)
}

/// The calls of a stored message, whose arguments are read by `arguments`.
pub(super) fn calls(message: &Value, arguments: fn(&Value) -> Arguments) -> Vec<Requested> {
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    calls
        .map(|call| Requested {
            id: call["id"].as_str().unwrap_or_default().to_owned(),
            name: call["function"]["name"].as_str().unwrap_or_default().to_owned(),
            args: arguments(&call["function"]["arguments"]),
        })
        .collect()
}

pub(super) fn text(message: &Value) -> String {
    message["content"].as_str().unwrap_or_default().to_owned()
}
