//! OpenAI chat completions, and the many servers that speak the same.
//!
//! Source: developers.openai.com/api/reference, "Create chat completion" and "Chat completion chunk", from memory; not yet held against the pages.

use serde_json::{Value, json};

use super::{Arguments, Decoder, Prompt, Requested, Wire};

mod stream;

/// The wire. Only what compatible servers know is sent; fields of a message that we do not know go back as they came.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenAi;

impl Wire for OpenAi {
    fn path(&self) -> &'static str {
        "/chat/completions"
    }

    fn headers(&self) -> Vec<(String, String)> {
        [("content-type", "application/json"), ("accept", "text/event-stream")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    fn body(&self, prompt: &Prompt<'_>) -> Vec<u8> {
        let mut body = json!({ "model": prompt.model, "stream": true, "stream_options": { "include_usage": true } });
        // An empty list is refused.
        if !prompt.tools.is_empty() {
            body["tools"] = tools(prompt);
        }
        // No cache marks: the provider caches a repeated prefix by itself, so what changes stands last.
        body["messages"] = Value::Array(messages(prompt));
        body.to_string().into_bytes()
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(stream::Stream::default())
    }

    fn calls(&self, message: &Value) -> Vec<Requested> {
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        calls
            .map(|call| Requested {
                id: call["id"].as_str().unwrap_or_default().to_owned(),
                name: call["function"]["name"].as_str().unwrap_or_default().to_owned(),
                args: stored_arguments(call["function"]["arguments"].as_str().unwrap_or_default()),
            })
            .collect()
    }

    fn text(&self, message: &Value) -> String {
        message["content"].as_str().unwrap_or_default().to_owned()
    }
}

/// Tools in the shape that Ollama shares.
pub(super) fn tools(prompt: &Prompt<'_>) -> Value {
    let tools = prompt.tools.iter().map(|tool| {
        json!({
            "type": "function",
            "function": { "name": tool.name, "description": tool.description, "parameters": tool.input_schema },
        })
    });
    Value::Array(tools.collect())
}

fn stored_arguments(text: &str) -> Arguments {
    match Arguments::parse(text) {
        Arguments::Object(map) => Arguments::from_stored(&Value::Object(map)),
        malformed => malformed,
    }
}

fn messages(prompt: &Prompt<'_>) -> Vec<Value> {
    let mut messages = vec![json!({ "role": "system", "content": prompt.system })];
    for round in prompt.rounds() {
        messages.push(json!({ "role": "user", "content": round.message }));
        for step in &round.steps {
            messages.push(step.message.clone());
            messages.extend(
                step.results.iter().map(
                    |result| json!({ "role": "tool", "tool_call_id": result.provider_id, "content": result.text }),
                ),
            );
            messages.extend(step.note.iter().map(|note| json!({ "role": "user", "content": note })));
        }
    }
    messages
}
