use serde_json::json;

use super::*;
use crate::call::CallId;
use crate::conversation::{CallResult, Step};

mod replay;
mod requests;

/// A recorded shape and the answer that it holds. Each file's first line names the page it was written from.
pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    pub(crate) protocol: Protocol,
    text: &'static str,
    pub(crate) answer: fn() -> Answer,
}

impl Fixture {
    /// The stream without the line that says where it comes from.
    pub(crate) fn bytes(&self) -> &'static [u8] {
        self.text.split_once('\n').unwrap().1.as_bytes()
    }
}

pub(crate) const FIXTURES: &[Fixture] = &[
    Fixture {
        name: "anthropic-text",
        protocol: Protocol::Anthropic,
        text: include_str!("fixtures/anthropic-text.sse"),
        answer: || Answer {
            message: json!({ "role": "assistant", "content": [{ "type": "text", "text": "Grüße 漢 🦀!" }] }),
            usage: Usage { input: 25, output: 15, cache_read: 2000, cache_write: 100 },
            stop: Stop::End,
        },
    },
    Fixture {
        name: "anthropic-thinking-tools",
        protocol: Protocol::Anthropic,
        text: include_str!("fixtures/anthropic-thinking-tools.sse"),
        answer: || Answer {
            message: json!({ "role": "assistant", "content": [
                { "type": "thinking", "thinking": "Two files, both small.", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h" },
                { "type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix" },
                { "type": "text", "text": "Let me look." },
                { "type": "tool_use", "id": "toolu_01T1", "name": "read_file", "input": { "file_path": "a.txt", "limit": 5 } },
                { "type": "tool_use", "id": "toolu_01T2", "name": "ls", "input": {} },
            ] }),
            usage: Usage { input: 472, output: 89, ..Usage::default() },
            stop: Stop::Tools,
        },
    },
    Fixture {
        name: "openai-text",
        protocol: Protocol::OpenAi,
        text: include_str!("fixtures/openai-text.sse"),
        answer: || Answer {
            message: json!({ "role": "assistant", "content": "Grüße 漢!" }),
            usage: Usage { input: 15, output: 10, cache_read: 100, cache_write: 4 },
            stop: Stop::End,
        },
    },
    Fixture {
        name: "openai-tools",
        protocol: Protocol::OpenAi,
        text: include_str!("fixtures/openai-tools.sse"),
        answer: || Answer {
            message: json!({ "role": "assistant", "content": null, "tool_calls": [
                { "id": "call_DdmO9pD3", "type": "function",
                  "function": { "name": "read_file", "arguments": "{\"file_path\":\"a.txt\",\"limit\":5}" } },
                { "id": "call_Xa81", "type": "function", "function": { "name": "ls", "arguments": "{}" } },
            ] }),
            usage: Usage { input: 50, output: 20, ..Usage::default() },
            stop: Stop::Tools,
        },
    },
    Fixture {
        name: "openai-compatible",
        protocol: Protocol::OpenAi,
        text: include_str!("fixtures/openai-compatible.sse"),
        answer: || Answer {
            message: json!({ "role": "assistant", "content": null, "reasoning_content": "Two files, both small.", "tool_calls": [
                { "id": "f-1", "type": "function",
                  "function": { "name": "read_file", "arguments": "{\"file_path\":\"a.txt\",\"limit\":5}" },
                  "extra_content": { "google": { "thought_signature": "c2ln" } } },
                { "id": "f-2", "type": "function", "function": { "name": "ls", "arguments": "{}" } },
            ] }),
            usage: Usage { input: 7, output: 3, ..Usage::default() },
            stop: Stop::Tools,
        },
    },
    Fixture {
        name: "ollama-text",
        protocol: Protocol::Ollama,
        text: include_str!("fixtures/ollama-text.ndjson"),
        answer: || Answer {
            message: json!({ "role": "assistant", "content": "Grüße 漢!" }),
            usage: Usage { input: 26, output: 282, ..Usage::default() },
            stop: Stop::End,
        },
    },
    Fixture {
        name: "ollama-tools",
        protocol: Protocol::Ollama,
        text: include_str!("fixtures/ollama-tools.ndjson"),
        answer: || Answer {
            message: json!({ "role": "assistant", "content": "", "thinking": "Two files, both small.", "tool_calls": [
                { "function": { "index": 0, "name": "read_file", "arguments": { "file_path": "a.txt", "limit": 5 } } },
                { "function": { "index": 1, "name": "ls", "arguments": {} } },
            ] }),
            usage: Usage { input: 169, output: 15, ..Usage::default() },
            stop: Stop::Tools,
        },
    },
];

/// Results for the calls of an answer, as the loop makes them.
fn results(wire: &dyn Wire, message: &Value, turn: u32) -> Vec<CallResult> {
    let calls = wire.calls(message).into_iter().enumerate();
    calls
        .map(|(place, call)| CallResult {
            call: CallId::new(turn, place as u32 + 1),
            provider_id: call.id,
            tool: call.name,
            text: format!("result {place}"),
            is_error: place == 1,
        })
        .collect()
}

#[test]
fn protocols_are_found_by_their_names() {
    for protocol in [Protocol::Anthropic, Protocol::OpenAi, Protocol::Ollama] {
        assert_eq!(Protocol::from_name(protocol.name()), Some(protocol));
    }
    assert_eq!(Protocol::from_name("Anthropic"), None);
}

#[test]
fn error_bodies_of_each_provider_are_read() {
    for (body, message) in [
        (r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, "Overloaded"),
        (r#"{"error":{"message":"Rate limit reached","type":"requests","code":null}}"#, "Rate limit reached"),
        (r#"{"error":"model 'x' not found"}"#, "model 'x' not found"),
        ("<html>bad gateway</html>\n", "<html>bad gateway</html>"),
        ("", ""),
    ] {
        assert_eq!(error_message(body.as_bytes()), message);
    }
}
