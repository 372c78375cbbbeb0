//! Reads one answer of Ollama's chat API from its lines.

use serde_json::{Map, Value, json};

use crate::journal::{Stop, Usage};
use crate::model::frames::Lines;
use crate::model::{Answer, AnswerError, Arguments, Decoder};

/// The message as it grows.
#[derive(Default)]
pub(super) struct Stream {
    lines: Lines,
    content: String,
    thinking: String,
    calls: Vec<Value>,
    usage: Usage,
    reason: Option<String>,
}

impl Decoder for Stream {
    fn feed(&mut self, bytes: &[u8]) -> Result<String, AnswerError> {
        let mut text = String::new();
        for line in self.lines.feed(bytes)? {
            self.take(&line, &mut text)?;
        }
        Ok(text)
    }

    fn is_whole(&self) -> bool {
        self.reason.is_some()
    }

    fn finish(mut self: Box<Self>) -> Result<Answer, AnswerError> {
        // The last line may come without its line end; one that was cut is no JSON, and is a cut.
        let rest = String::from_utf8(std::mem::take(&mut self.lines).rest()).unwrap_or_default();
        if self.reason.is_none() && serde_json::from_str::<Value>(&rest).is_ok() {
            self.take(&rest, &mut String::new())?;
        }
        let Some(reason) = self.reason else { return Err(AnswerError::Cut) };
        let stop = match reason.as_str() {
            "length" => Stop::Length,
            "stop" if !self.calls.is_empty() => Stop::Tools,
            "stop" => Stop::End,
            _ => Stop::Other(reason),
        };
        let mut message = Map::new();
        message.insert("role".to_owned(), json!("assistant"));
        message.insert("content".to_owned(), Value::String(self.content));
        if !self.thinking.is_empty() {
            message.insert("thinking".to_owned(), Value::String(self.thinking));
        }
        if !self.calls.is_empty() {
            message.insert("tool_calls".to_owned(), Value::Array(self.calls));
        }
        Ok(Answer { message: Value::Object(message), usage: self.usage, stop })
    }
}

impl Stream {
    fn take(&mut self, line: &str, text: &mut String) -> Result<(), AnswerError> {
        if line.trim().is_empty() {
            return Ok(());
        }
        let chunk: Value = serde_json::from_str(line)
            .map_err(|error| AnswerError::Malformed(format!("a line is not JSON: {error}")))?;
        if let Some(error) = chunk.get("error") {
            let message = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            return Err(AnswerError::Reported { kind: "error".to_owned(), message });
        }
        let message = &chunk["message"];
        if let Some(piece) = message["content"].as_str() {
            text.push_str(piece);
            self.content.push_str(piece);
        }
        self.thinking.push_str(message["thinking"].as_str().unwrap_or_default());
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let mut call = call.clone();
            let arguments = match &call["function"]["arguments"] {
                Value::String(text) => Arguments::parse(text),
                other => Arguments::from_stored(other),
            };
            call["function"]["arguments"] = arguments.stored();
            self.calls.push(call);
        }
        if chunk["done"] == true {
            self.reason = Some(chunk["done_reason"].as_str().unwrap_or("stop").to_owned());
            self.usage.input = chunk["prompt_eval_count"].as_u64().unwrap_or_default();
            self.usage.output = chunk["eval_count"].as_u64().unwrap_or_default();
        }
        Ok(())
    }
}
