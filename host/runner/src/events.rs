//! The loop's events as the trusted half takes them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value, json};
use stigmer_agent::{CallId, Event, Events};
use stigmer_policy::{Denial, Wall};
use stigmer_proto::runner::EventDraft;

use crate::outbox::Outbox;
use crate::tools::wall;
use crate::trim;

/// Reports events.
pub(crate) struct Reported {
    outbox: Outbox,
    /// The wall behind each call that runs, for its denials.
    walls: Mutex<HashMap<CallId, Wall>>,
}

impl Reported {
    pub(crate) fn new(outbox: Outbox) -> Reported {
        Reported { outbox, walls: Mutex::default() }
    }

    fn wall_of(&self, event: &Event) -> Wall {
        // One insert, remove or look: whole after any panic.
        let mut walls = self.walls.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::ToolBegin { call, tool, .. } => *walls.entry(*call).or_insert(wall(tool)),
            Event::ToolEnd { call, tool, .. } => walls.remove(call).unwrap_or(wall(tool)),
            Event::Denial { call, .. } => walls.get(call).copied().unwrap_or(Wall::FileTool),
            _ => Wall::FileTool,
        }
    }
}

#[async_trait]
impl Events for Reported {
    async fn emit(&self, event: Event) {
        let wall = self.wall_of(&event);
        if let Some(draft) = draft(event, wall) {
            self.outbox.event(draft).await;
        }
    }
}

/// `None` for what the trusted half says itself: the end, which it learns with the result.
fn draft(event: Event, wall: Wall) -> Option<EventDraft> {
    let about = |call: CallId| (call.turn(), call.to_string());
    let of = |turn: u32| (turn, String::new());
    let (kind, (turn, call), body) = match event {
        Event::Turn { turn } => ("turn", of(turn), json!({})),
        Event::TextDelta { turn, text } => ("text_delta", of(turn), json!({ "text": text })),
        Event::Usage { turn, usage, stop } => ("usage", of(turn), with(usage, "stop", stop)),
        Event::ToolBegin { call, tool, args } => ("tool_begin", about(call), json!({ "tool": tool, "args": args })),
        Event::ToolOutput { call, stream, text } => {
            ("tool_output", about(call), json!({ "stream": stream, "text": text }))
        }
        Event::ToolEnd { call, tool, text, is_error, took } => {
            let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            ("tool_end", about(call), json!({ "tool": tool, "text": text, "is_error": is_error, "took_ms": took }))
        }
        Event::Denial { call, denial } => ("denial", about(call), with(clipped(denial), "wall", wall)),
        Event::FileChanged { call, changed } => {
            ("file_changed", about(call), json!({ "path": changed.path, "wall": changed.wall }))
        }
        Event::Retry { turn, attempt, wait, reason } => {
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            ("retry", of(turn), json!({ "attempt": attempt, "wait_ms": wait, "reason": reason }))
        }
        Event::Limit { name, reason } => ("limit", of(0), json!({ "name": name, "reason": reason })),
        Event::Interrupted { call } => ("interrupted", about(call), json!({})),
        _ => return None,
    };
    let Value::Object(body) = body else { return None };
    Some(EventDraft { kind: kind.to_owned(), turn, call, body: trim::body(body).into() })
}

/// The JSON object of `value`, with one more member.
fn with(value: impl Serialize, name: &str, member: impl Serialize) -> Value {
    let mut map = match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        // Shapes of ours that are no object do not come here.
        _ => Map::new(),
    };
    map.insert(name.to_owned(), serde_json::to_value(member).unwrap_or(Value::Null));
    Value::Object(map)
}

/// Longest text in a denial, in bytes: a denial must arrive whole, since a cut one is none.
const DENIAL_TEXT_BYTES: usize = 3 << 10;

fn clipped(denial: Denial) -> Denial {
    let clip = |mut text: String| {
        if text.len() > DENIAL_TEXT_BYTES {
            text.truncate(text.floor_char_boundary(DENIAL_TEXT_BYTES));
            text.push('…');
        }
        text
    };
    let Denial { rule, subject, reason, grant } = denial;
    Denial { rule, subject: clip(subject), reason: clip(reason), grant: grant.map(clip) }
}

#[cfg(test)]
mod tests {
    use stigmer_agent::{Changed, Output};
    use stigmer_policy::Rule;

    use super::*;

    fn body(event: Event) -> (String, Value) {
        let draft = draft(event, Wall::Plugin).unwrap();
        (draft.kind, serde_json::from_slice(&draft.body).unwrap())
    }

    #[test]
    fn events_keep_what_they_say() {
        let call = CallId::new(2, 1);
        let changed = Changed { path: "/w/a".to_owned(), wall: Wall::FileTool };
        assert_eq!(
            body(Event::FileChanged { call, changed }),
            ("file_changed".to_owned(), json!({ "path": "/w/a", "wall": "file-tool" }))
        );
        let denial = Denial { rule: Rule::OutsideRoots, subject: "read /x".into(), reason: "no".into(), grant: None };
        let want =
            json!({ "rule": "outside-roots", "subject": "read /x", "reason": "no", "grant": null, "wall": "plugin" });
        assert_eq!(body(Event::Denial { call, denial }), ("denial".to_owned(), want));
        let output = Event::ToolOutput { call, stream: Output::Stderr, text: "\u{1b}[31mx".to_owned() };
        assert_eq!(body(output).1, json!({ "stream": "stderr", "text": "\u{1b}[31mx" }));
        assert!(draft(Event::Ended { outcome: stigmer_agent::Outcome::Cancelled }, Wall::Plugin).is_none());
    }

    #[test]
    fn a_long_denial_still_reads_as_one() {
        let long = "\u{1}".repeat(60_000);
        let denial = Denial { rule: Rule::Roots, subject: long.clone(), reason: long.clone(), grant: Some(long) };
        let (_, value) = body(Event::Denial { call: CallId::new(1, 1), denial });
        assert!(value.get("cut").is_none() && value["subject"].as_str().unwrap().len() < 4096);
        assert!(
            serde_json::from_value::<Denial>(json!({
                "rule": value["rule"], "subject": value["subject"], "reason": value["reason"], "grant": value["grant"],
            }))
            .is_ok()
        );
    }
}
