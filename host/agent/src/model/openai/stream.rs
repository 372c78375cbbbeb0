//! Reads one answer of chat completions from its chunks.

use serde_json::{Map, Value, json};

use crate::journal::{Stop, Usage};
use crate::model::frames::Events;
use crate::model::{Answer, AnswerError, Arguments, Decoder};

/// The message as it grows. Only the first choice is read; we never ask for more.
#[derive(Default)]
pub(super) struct Stream {
    events: Events,
    content: String,
    refusal: String,
    calls: Vec<Call>,
    /// Fields of the delta that we do not know (`reasoning_content`, `reasoning_details`): joined, and sent back.
    other: Map<String, Value>,
    usage: Usage,
    finish: Option<String>,
    done: bool,
}

#[derive(Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    /// Fields of the call that we do not know (thought signatures); sent back.
    other: Map<String, Value>,
}

impl Decoder for Stream {
    fn feed(&mut self, bytes: &[u8]) -> Result<String, AnswerError> {
        let mut text = String::new();
        for data in self.events.feed(bytes)? {
            if data.trim() == "[DONE]" {
                self.done = true;
                continue;
            }
            let chunk: Value = serde_json::from_str(&data)
                .map_err(|error| AnswerError::Malformed(format!("a chunk is not JSON: {error}")))?;
            self.take(&chunk, &mut text)?;
        }
        Ok(text)
    }

    fn is_whole(&self) -> bool {
        self.done && self.finish.is_some()
    }

    fn finish(self: Box<Self>) -> Result<Answer, AnswerError> {
        // Some servers leave `[DONE]` out; the finish reason is the last word on the message itself.
        let Some(finish) = self.finish else { return Err(AnswerError::Cut) };
        let stop = match finish.as_str() {
            "content_filter" => Stop::Refusal,
            "length" => Stop::Length,
            // Some servers say `stop` although calls are there.
            "stop" | "tool_calls" | "function_call" if !self.calls.is_empty() => Stop::Tools,
            "stop" if !self.refusal.is_empty() => Stop::Refusal,
            "stop" | "tool_calls" | "function_call" => Stop::End,
            _ => Stop::Other(finish),
        };
        let mut message = Map::new();
        message.insert("role".to_owned(), json!("assistant"));
        // `null` is only allowed beside calls.
        let silent = self.content.is_empty() && !self.calls.is_empty();
        message.insert("content".to_owned(), if silent { Value::Null } else { Value::String(self.content) });
        if !self.refusal.is_empty() {
            message.insert("refusal".to_owned(), Value::String(self.refusal));
        }
        message.extend(self.other);
        if !self.calls.is_empty() {
            let calls = self.calls.into_iter().enumerate().map(|(place, call)| call.into_value(place));
            message.insert("tool_calls".to_owned(), Value::Array(calls.collect()));
        }
        Ok(Answer { message: Value::Object(message), usage: self.usage, stop })
    }
}

impl Stream {
    fn take(&mut self, chunk: &Value, text: &mut String) -> Result<(), AnswerError> {
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            return Err(reported(error));
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            self.count(usage);
        }
        let Some(choice) = chunk["choices"].as_array().and_then(|choices| choices.first()) else { return Ok(()) };
        if let Some(finish) = choice["finish_reason"].as_str() {
            self.finish = Some(finish.to_owned());
        }
        for (name, value) in choice["delta"].as_object().into_iter().flatten() {
            match (name.as_str(), value) {
                ("role" | "function_call", _) | (_, Value::Null) => {}
                ("content", Value::String(piece)) => {
                    text.push_str(piece);
                    self.content.push_str(piece);
                }
                ("refusal", Value::String(piece)) => {
                    text.push_str(piece);
                    self.refusal.push_str(piece);
                }
                ("tool_calls", Value::Array(deltas)) => deltas.iter().for_each(|delta| self.take_call(delta)),
                _ => join(&mut self.other, name, value),
            }
        }
        Ok(())
    }

    /// Finds the call by its index. Servers that send whole calls leave the index out, or count each one as 0: a new id
    /// is then a new call.
    fn take_call(&mut self, delta: &Value) {
        let index = delta["index"].as_u64();
        let id = delta["id"].as_str().unwrap_or_default();
        let found = self
            .calls
            .iter()
            .rposition(|call| call.index == index && (id.is_empty() || call.id.is_empty() || call.id == id));
        let place = found.unwrap_or_else(|| {
            self.calls.push(Call { index, ..Call::default() });
            self.calls.len() - 1
        });
        let call = &mut self.calls[place];
        if call.id.is_empty() {
            call.id = id.to_owned();
        }
        let function = &delta["function"];
        // A name comes whole; some servers repeat it in each delta.
        if let Some(name) = function["name"].as_str().filter(|name| !name.is_empty()) {
            call.name = name.to_owned();
        }
        match &function["arguments"] {
            Value::String(piece) => call.arguments.push_str(piece),
            // Not by the reference, but sent by some servers.
            object @ Value::Object(_) => call.arguments = object.to_string(),
            _ => {}
        }
        for (name, value) in delta.as_object().into_iter().flatten() {
            if !matches!(name.as_str(), "index" | "id" | "type" | "function") && !value.is_null() {
                join(&mut call.other, name, value);
            }
        }
    }

    fn count(&mut self, usage: &Value) {
        let cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or_default();
        let written = usage["prompt_tokens_details"]["cache_write_tokens"].as_u64().unwrap_or_default();
        self.usage = Usage {
            // Both are parts of the prompt's count.
            input: usage["prompt_tokens"].as_u64().unwrap_or_default().saturating_sub(cached).saturating_sub(written),
            output: usage["completion_tokens"].as_u64().unwrap_or_default(),
            cache_read: cached,
            cache_write: written,
        };
    }
}

impl Call {
    fn into_value(self, place: usize) -> Value {
        // Without an id a result cannot be told apart; one made here is unique within the message, which is enough.
        let id = if self.id.is_empty() { format!("call_{place}") } else { self.id };
        let arguments = Arguments::parse(&self.arguments).stored().to_string();
        let mut value = Map::new();
        value.insert("id".to_owned(), Value::String(id));
        value.insert("type".to_owned(), json!("function"));
        value.insert("function".to_owned(), json!({ "name": self.name, "arguments": arguments }));
        value.extend(self.other);
        Value::Object(value)
    }
}

/// Adds a piece of an unknown field: texts and lists grow, anything else is replaced.
fn join(fields: &mut Map<String, Value>, name: &str, piece: &Value) {
    match (fields.get_mut(name), piece) {
        (Some(Value::String(text)), Value::String(more)) => text.push_str(more),
        (Some(Value::Array(list)), Value::Array(more)) => list.extend(more.iter().cloned()),
        _ => {
            fields.insert(name.to_owned(), piece.clone());
        }
    }
}

fn reported(error: &Value) -> AnswerError {
    let code = error["code"].as_u64().or_else(|| error["status"].as_u64());
    let kind = error["type"].as_str().or_else(|| error["code"].as_str()).unwrap_or("error").to_owned();
    let message = error["message"].as_str().or_else(|| error.as_str()).unwrap_or_default().to_owned();
    let passes = matches!(code, Some(429 | 500 | 502 | 503 | 529))
        || matches!(kind.as_str(), "server_error" | "rate_limit_exceeded" | "overloaded_error" | "service_unavailable");
    if passes { AnswerError::Overloaded { kind, message } } else { AnswerError::Reported { kind, message } }
}
