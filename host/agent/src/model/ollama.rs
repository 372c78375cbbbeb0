//! Ollama's own chat API: one JSON object a line.
//!
//! Source: docs.ollama.com/api/chat, `…/api/streaming`, `…/capabilities/tool-calling`, by way of the types of its client; each fixture says what it was held against.

use serde_json::{Value, json};

use super::{Arguments, Decoder, LOCAL_CONTEXT_TOKENS, LOCAL_KEEP_ALIVE, Prompt, Requested, Wire, chat};

use crate::conversation::CallResult;

mod stream;

/// The wire. Its own API is used rather than the compatible one because only here the context can be asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ollama;

impl Wire for Ollama {
    fn path(&self) -> &'static str {
        "/api/chat"
    }

    fn headers(&self) -> Vec<(String, String)> {
        [("content-type", "application/json"), ("accept", "application/x-ndjson")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    fn body(&self, prompt: &Prompt<'_>) -> Vec<u8> {
        let mut body = json!({
            "model": prompt.model, "stream": true, "keep_alive": LOCAL_KEEP_ALIVE,
            // Else the beginning is left out without a word when the conversation is longer than the context: the person's
            // own task first. So it is an error, or an answer that says that it was cut (github.com/ollama/ollama,
            // api/types.go, ChatRequest). A server that is too old to know the two cuts all the same.
            "truncate": false, "shift": false,
            "options": { "num_ctx": LOCAL_CONTEXT_TOKENS },
        });
        if !prompt.tools.is_empty() {
            body["tools"] = chat::tools(prompt);
        }
        body["messages"] = chat::messages(prompt, result);
        body.to_string().into_bytes()
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(stream::Stream::default())
    }

    fn calls(&self, message: &Value) -> Vec<Requested> {
        chat::calls(message, Arguments::from_stored)
    }

    fn text(&self, message: &Value) -> String {
        chat::text(message)
    }
}

fn result(result: &CallResult) -> Value {
    let mut message = json!({ "role": "tool", "tool_name": result.tool, "content": result.text });
    if !result.provider_id.is_empty() {
        message["tool_call_id"] = json!(result.provider_id);
    }
    message
}
