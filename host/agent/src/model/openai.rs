//! OpenAI chat completions, and the many servers that speak the same.
//!
//! Source: developers.openai.com/api/reference, "Create chat completion" and "Chat completion chunk", from memory; not yet held against the pages.

use serde_json::{Value, json};

use super::{Arguments, Decoder, Prompt, Requested, Wire, chat};

use crate::conversation::CallResult;

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
            body["tools"] = chat::tools(prompt);
        }
        // No cache marks: the provider caches a repeated prefix by itself, so what changes stands last.
        body["messages"] = chat::messages(prompt, result);
        body.to_string().into_bytes()
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
