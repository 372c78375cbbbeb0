//! OpenAI chat completions, and the many servers that speak the same.
//!
//! Source: developers.openai.com/api/reference, "Create chat completion" and "Chat completion chunk", by way of the types of its SDK; each fixture says what it was held against.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{Arguments, Decoder, Prompt, Requested, Wire, chat};

use crate::conversation::CallResult;

mod stream;

/// The wire. Only what compatible servers know is sent; fields of a message that we do not know go back as they came.
#[derive(Debug, Default)]
pub(super) struct OpenAi {
    /// The model takes tools on this API only without reasoning, and has said so.
    without_reasoning: AtomicBool,
}

/// The field by which such a model is asked.
const EFFORT: &str = "reasoning_effort";

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
            body["tools"] = chat::tools(prompt);
        }
        if self.without_reasoning.load(Ordering::Relaxed) {
            body[EFFORT] = json!("none");
        }
        // No cache marks: the provider caches a repeated prefix by itself, so what changes stands last.
        body["messages"] = chat::messages(prompt, result);
        body.to_string().into_bytes()
    }

    /// OpenAI's models from gpt-5.4 on refuse function tools on this API unless reasoning is off, and name the field; what they
    /// would do by default counts as asked for. Answered once, for the rest of the run. Source: issues 541 of
    /// openai/openai-openapi and 417 of GoogleChromeLabs/webmcp-tools, read 24 November 2026.
    fn amended(&self, status: u16, error: &[u8], sent: &[u8]) -> Option<Vec<u8>> {
        let error: Value = serde_json::from_slice(error).ok()?;
        if status != 400 || error["error"]["param"] != EFFORT {
            return None;
        }
        let mut body: Value = serde_json::from_slice(sent).ok()?;
        let fields =
            body.as_object_mut().filter(|fields| fields.contains_key("tools") && !fields.contains_key(EFFORT))?;
        fields.insert(EFFORT.to_owned(), json!("none"));
        self.without_reasoning.store(true, Ordering::Relaxed);
        Some(body.to_string().into_bytes())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(stream::Stream::default())
    }

    fn calls(&self, message: &Value) -> Vec<Requested> {
        chat::calls(message, stored_arguments)
    }

    fn text(&self, message: &Value) -> String {
        chat::text(message)
    }
}

/// Arguments are stored as the text that they came as.
fn stored_arguments(stored: &Value) -> Arguments {
    match Arguments::parse(stored.as_str().unwrap_or_default()) {
        Arguments::Object(map) => Arguments::from_stored(&Value::Object(map)),
        malformed => malformed,
    }
}

fn result(result: &CallResult) -> Value {
    json!({ "role": "tool", "tool_call_id": result.provider_id, "content": result.text })
}
