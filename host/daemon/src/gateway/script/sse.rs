//! Writing a turn as the Messages API does.
//!
//! Source: platform.claude.com/docs/en/build-with-claude/streaming (November 2026).

use bytes::Bytes;
use serde_json::{Value, json};

use super::document::Turn;

/// Characters of text in one delta: small enough that clients are seen to stream.
const DELTA: usize = 16;
/// Characters of a call's arguments in one delta.
const ARGUMENTS_DELTA: usize = 32;

/// The turn as events, one piece each.
pub(super) fn stream(model: &str, number: usize, turn: &Turn, input: u64) -> Vec<Bytes> {
    let mut message = message(model, number, input);
    message["content"] = json!([]);
    message["usage"]["output_tokens"] = json!(1);
    let mut out = vec![event(&json!({ "type": "message_start", "message": message }))];
    let mut index = 0;
    if !turn.text.is_empty() {
        let deltas = pieces(&turn.text, DELTA).map(|text| json!({ "type": "text_delta", "text": text }));
        block(&mut out, index, &json!({ "type": "text", "text": "" }), deltas);
        index += 1;
    }
    for call in &turn.calls {
        let start = json!({ "type": "tool_use", "id": call.id, "name": call.tool, "input": {} });
        let args = call.args.to_string();
        let deltas =
            pieces(&args, ARGUMENTS_DELTA).map(|part| json!({ "type": "input_json_delta", "partial_json": part }));
        block(&mut out, index, &start, deltas);
        index += 1;
    }
    let delta = json!({ "stop_reason": stop_reason(turn), "stop_sequence": null });
    let usage = json!({ "output_tokens": output(turn) });
    out.push(event(&json!({ "type": "message_delta", "delta": delta, "usage": usage })));
    out.push(event(&json!({ "type": "message_stop" })));
    out
}

/// The turn as one message.
pub(super) fn whole(model: &str, number: usize, turn: &Turn, input: u64) -> Bytes {
    let text = (!turn.text.is_empty()).then(|| json!({ "type": "text", "text": turn.text }));
    let calls = turn
        .calls
        .iter()
        .map(|call| json!({ "type": "tool_use", "id": call.id, "name": call.tool, "input": call.args }));
    let mut message = message(model, number, input);
    message["content"] = text.into_iter().chain(calls).collect();
    message["stop_reason"] = json!(stop_reason(turn));
    message["usage"]["output_tokens"] = json!(output(turn));
    message.to_string().into()
}

fn message(model: &str, number: usize, input: u64) -> Value {
    json!({
        "id": format!("msg_script_{number}"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": { "input_tokens": input, "output_tokens": 0 },
    })
}

fn block(out: &mut Vec<Bytes>, index: usize, start: &Value, deltas: impl Iterator<Item = Value>) {
    out.push(event(&json!({ "type": "content_block_start", "index": index, "content_block": start })));
    for delta in deltas {
        out.push(event(&json!({ "type": "content_block_delta", "index": index, "delta": delta })));
    }
    out.push(event(&json!({ "type": "content_block_stop", "index": index })));
}

fn event(data: &Value) -> Bytes {
    let kind = data["type"].as_str().unwrap_or_default();
    format!("event: {kind}\ndata: {data}\n\n").into()
}

fn stop_reason(turn: &Turn) -> &'static str {
    if turn.calls.is_empty() { "end_turn" } else { "tool_use" }
}

/// Four bytes are one token: an estimate, so that budgets can be tried out.
fn output(turn: &Turn) -> u64 {
    let arguments: usize = turn.calls.iter().map(|call| call.args.to_string().len()).sum();
    ((turn.text.len() + arguments) as u64).div_ceil(4)
}

/// The text cut into parts of at most `size` characters.
fn pieces(text: &str, size: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest.char_indices().nth(size).map_or(rest.len(), |(at, _)| at);
        let (part, after) = rest.split_at(end);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}
