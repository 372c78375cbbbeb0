//! Reads one answer of the Messages API from its events.

use serde_json::{Value, json};

use crate::journal::{Stop, Usage};
use crate::model::frames::Events;
use crate::model::{Answer, AnswerError, Arguments, Decoder};

/// Blocks as they grow, in the order of their index.
#[derive(Default)]
pub(super) struct Stream {
    events: Events,
    blocks: Vec<Block>,
    usage: Usage,
    stop: Option<String>,
    whole: bool,
}

struct Block {
    index: u64,
    value: Value,
    /// Text of a tool's input so far.
    input: String,
}

impl Decoder for Stream {
    fn feed(&mut self, bytes: &[u8]) -> Result<String, AnswerError> {
        let mut text = String::new();
        for data in self.events.feed(bytes)? {
            let event: Value = serde_json::from_str(&data)
                .map_err(|error| AnswerError::Malformed(format!("an event is not JSON: {error}")))?;
            self.take(&event, &mut text)?;
        }
        Ok(text)
    }

    fn is_whole(&self) -> bool {
        self.whole
    }

    fn finish(self: Box<Self>) -> Result<Answer, AnswerError> {
        if !self.whole {
            return Err(AnswerError::Cut);
        }
        let content: Vec<Value> =
            self.blocks.into_iter().map(Block::into_value).filter(|block| !is_blank(block)).collect();
        let stop = match self.stop.as_deref() {
            Some("end_turn" | "stop_sequence") => Stop::End,
            Some("tool_use") => Stop::Tools,
            // An answer that filled the context cannot go on; the loop asks, and the provider then says that it is too long.
            Some("max_tokens" | "model_context_window_exceeded") => Stop::Length,
            Some("refusal") => Stop::Refusal,
            Some(other) => Stop::Other(other.to_owned()),
            None => return Err(AnswerError::Malformed("the message has no stop reason".to_owned())),
        };
        Ok(Answer { message: json!({ "role": "assistant", "content": content }), usage: self.usage, stop })
    }
}

impl Stream {
    fn take(&mut self, event: &Value, text: &mut String) -> Result<(), AnswerError> {
        match event["type"].as_str() {
            Some("message_start") => self.count(&event["message"]["usage"]),
            Some("content_block_start") => self.blocks.push(Block {
                index: event["index"].as_u64().unwrap_or_default(),
                value: event["content_block"].clone(),
                input: String::new(),
            }),
            Some("content_block_delta") => {
                let index = event["index"].as_u64().unwrap_or_default();
                let block = self.blocks.iter_mut().find(|block| block.index == index);
                let block = block
                    .ok_or_else(|| AnswerError::Malformed(format!("a delta for block {index}, which is not open")))?;
                block.grow(&event["delta"], text);
            }
            Some("message_delta") => {
                self.count(&event["usage"]);
                if let Some(stop) = event["delta"]["stop_reason"].as_str() {
                    self.stop = Some(stop.to_owned());
                }
            }
            Some("message_stop") => self.whole = true,
            Some("error") => return Err(reported(&event["error"])),
            // `ping`, `content_block_stop`, and what later versions add: the reference says to expect new events.
            _ => {}
        }
        Ok(())
    }

    /// Later counts are cumulative and replace earlier ones.
    fn count(&mut self, usage: &Value) {
        let fields = [
            ("input_tokens", &mut self.usage.input),
            ("output_tokens", &mut self.usage.output),
            ("cache_read_input_tokens", &mut self.usage.cache_read),
            ("cache_creation_input_tokens", &mut self.usage.cache_write),
        ];
        for (name, place) in fields {
            if let Some(count) = usage[name].as_u64() {
                *place = count;
            }
        }
    }
}

impl Block {
    fn grow(&mut self, delta: &Value, text: &mut String) {
        match delta["type"].as_str() {
            Some("text_delta") => {
                let piece = delta["text"].as_str().unwrap_or_default();
                text.push_str(piece);
                append(&mut self.value, "text", piece);
            }
            Some("input_json_delta") => self.input.push_str(delta["partial_json"].as_str().unwrap_or_default()),
            Some("thinking_delta") => {
                append(&mut self.value, "thinking", delta["thinking"].as_str().unwrap_or_default())
            }
            Some("signature_delta") => {
                append(&mut self.value, "signature", delta["signature"].as_str().unwrap_or_default())
            }
            Some("citations_delta") => {
                if !self.value["citations"].is_array() {
                    self.value["citations"] = json!([]);
                }
                if let Some(citations) = self.value["citations"].as_array_mut() {
                    citations.push(delta["citation"].clone());
                }
            }
            _ => {}
        }
    }

    fn into_value(mut self) -> Value {
        // A block may also come with its input whole in the start event.
        if self.value["type"] == "tool_use" && !(self.input.is_empty() && self.value["input"].is_object()) {
            self.value["input"] = Arguments::parse(&self.input).stored();
        }
        self.value
    }
}

fn append(block: &mut Value, field: &str, piece: &str) {
    match &mut block[field] {
        Value::String(text) => text.push_str(piece),
        other => *other = Value::String(piece.to_owned()),
    }
}

/// The API refuses such a block when it comes back.
fn is_blank(block: &Value) -> bool {
    block["type"] == "text" && block["text"].as_str().is_none_or(|text| text.trim().is_empty())
}

fn reported(error: &Value) -> AnswerError {
    let kind = error["type"].as_str().unwrap_or("error").to_owned();
    let message = error["message"].as_str().unwrap_or_default().to_owned();
    match kind.as_str() {
        "overloaded_error" | "api_error" | "rate_limit_error" | "timeout_error" => {
            AnswerError::Overloaded { kind, message }
        }
        _ => AnswerError::Reported { kind, message },
    }
}
