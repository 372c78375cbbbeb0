//! Events of schema 1, read. Kinds that are not known are skipped, as the schema asks of readers.

use serde_json::Value;
use stigmer_proto::local as wire;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    Text { turn: u32, text: String },
    Turn,
    ToolBegin { turn: u32, call: String, tool: String, args: Value },
    ToolEnd { turn: u32, call: String, tool: String, text: String, is_error: bool, took_ms: u64 },
    Denial { call: String, rule: String, subject: String, reason: String, grant: String, observer: String },
    Asked { call: String, tool: String, summary: String },
    Answered { call: String, approved: bool },
    Limit { reason: String },
    Retry { attempt: u64, wait_ms: u64, reason: String },
    Interrupted { reason: String },
    Parked { reason: String },
    Ended { outcome: String, reason: String },
}

impl Event {
    /// Whether people see something of it.
    pub(super) fn is_shown(&self) -> bool {
        !matches!(self, Event::Turn | Event::ToolBegin { .. } | Event::Parked { .. } | Event::Ended { .. })
    }

    /// Reads one; `None` for a kind that is not known or needs no showing.
    pub(super) fn read(event: wire::Event) -> Option<Event> {
        let body: Value = serde_json::from_slice(&event.body).unwrap_or(Value::Null);
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| body[name].as_u64().unwrap_or_default();
        let (turn, call) = (event.turn, event.call);
        Some(match event.kind.as_str() {
            "text_delta" => Event::Text { turn, text: text("text") },
            "turn" => Event::Turn,
            "tool_begin" => Event::ToolBegin { turn, call, tool: text("tool"), args: body["args"].clone() },
            "tool_end" => Event::ToolEnd {
                turn,
                call,
                tool: text("tool"),
                text: text("text"),
                is_error: body["is_error"].as_bool().unwrap_or_default(),
                took_ms: number("took_ms"),
            },
            "denial" => Event::Denial {
                call,
                rule: text("rule"),
                subject: text("subject"),
                reason: text("reason"),
                grant: text("grant"),
                observer: text("observer"),
            },
            "approval_asked" => Event::Asked { call, tool: text("tool"), summary: text("summary") },
            "approval_answered" => Event::Answered { call, approved: body["approved"].as_bool().unwrap_or_default() },
            "limit" => {
                let reason = text("reason");
                Event::Limit { reason: if reason.is_empty() { text("detail") } else { reason } }
            }
            "retry" => Event::Retry { attempt: number("attempt"), wait_ms: number("wait_ms"), reason: text("reason") },
            "interrupted" => Event::Interrupted { reason: text("reason") },
            "parked" => Event::Parked { reason: text("for") },
            "ended" => Event::Ended { outcome: text("outcome"), reason: text("reason") },
            _ => return None,
        })
    }
}
