//! Anthropic Messages, version 2023-06-01.
//!
//! Source: platform.claude.com/docs/en/api/messages, `…/build-with-claude/streaming`, `…/prompt-caching`, and the types of its SDK; each fixture says what it was held against.

use serde_json::{Value, json};

use super::{ANSWER_TOKENS, Arguments, Decoder, Prompt, Requested, Wire};

use crate::conversation::CallResult;

mod stream;

/// The wire. Text, tool use and whatever else a message holds (thinking with its signature) go back as they came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anthropic;

impl Wire for Anthropic {
    fn path(&self) -> &'static str {
        "/v1/messages"
    }

    fn headers(&self) -> Vec<(String, String)> {
        [("content-type", "application/json"), ("accept", "text/event-stream"), ("anthropic-version", "2023-06-01")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    fn body(&self, prompt: &Prompt<'_>) -> Vec<u8> {
        let mut tools: Vec<Value> = prompt
            .tools
            .iter()
            .map(
                |tool| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.input_schema }),
            )
            .collect();
        // Four marks are allowed in one request: the end of the tools, the end of the system text, and the last two
        // messages of ours. The one before last is needed because a lookup goes back only twenty blocks, and one turn of
        // parallel calls can add more than that.
        if let Some(last) = tools.last_mut() {
            mark(last);
        }
        let mut system = json!({ "type": "text", "text": prompt.system });
        mark(&mut system);
        let mut messages = messages(prompt);
        let ours: Vec<usize> =
            (0..messages.len()).rev().filter(|index| messages[*index]["role"] == "user").take(2).collect();
        for index in ours {
            if let Some(block) = messages[index]["content"].as_array_mut().and_then(|blocks| blocks.last_mut()) {
                mark(block);
            }
        }
        // What changes from turn to turn stands last.
        let mut body =
            json!({ "model": prompt.model, "max_tokens": ANSWER_TOKENS, "stream": true, "system": [system] });
        if !tools.is_empty() {
            body["tools"] = Value::Array(tools);
        }
        body["messages"] = Value::Array(messages);
        body.to_string().into_bytes()
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(stream::Stream::default())
    }

    fn calls(&self, message: &Value) -> Vec<Requested> {
        blocks(message, "tool_use")
            .map(|block| Requested {
                id: block["id"].as_str().unwrap_or_default().to_owned(),
                name: block["name"].as_str().unwrap_or_default().to_owned(),
                args: Arguments::from_stored(&block["input"]),
            })
            .collect()
    }

    fn text(&self, message: &Value) -> String {
        blocks(message, "text").filter_map(|block| block["text"].as_str()).collect()
    }
}

fn blocks<'a>(message: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    message["content"].as_array().into_iter().flatten().filter(move |block| block["type"] == kind)
}

fn mark(block: &mut Value) {
    block["cache_control"] = json!({ "type": "ephemeral" });
}

fn messages(prompt: &Prompt<'_>) -> Vec<Value> {
    let mut messages = Vec::new();
    for round in prompt.rounds() {
        messages.push(json!({ "role": "user", "content": [{ "type": "text", "text": round.message }] }));
        for step in &round.steps {
            // An answer without a block is refused when it comes back.
            if step.message["content"].as_array().is_some_and(|blocks| !blocks.is_empty()) {
                messages.push(json!({ "role": "assistant", "content": step.message["content"] }));
            }
            let mut content: Vec<Value> = step.results.iter().map(result).collect();
            // Results stand first: the API refuses text before them.
            content.extend(step.note.iter().map(|note| json!({ "type": "text", "text": note })));
            if !content.is_empty() {
                messages.push(json!({ "role": "user", "content": content }));
            }
        }
    }
    messages
}

fn result(result: &CallResult) -> Value {
    let mut block = json!({ "type": "tool_result", "tool_use_id": result.provider_id, "content": result.text });
    if result.is_error {
        block["is_error"] = Value::Bool(true);
    }
    block
}
