//! The model's text comes in pieces, each an event of its own: a secret that lies across two of them would stand on the
//! screen in two halves, each of which says nothing to the store's redactor.

use serde_json::Value;
use stigmer_secrets::{RedactStream, Redactor};

use crate::store::NewEvent;

/// Kind of the events that carry the model's text.
const TEXT: &str = "text_delta";

/// Redacts the text of one runner across the borders of its events. What may be the beginning of a secret, and no more
/// than that, waits for the next piece, or for the next event of another kind.
#[derive(Debug, Default)]
pub(super) struct Seam {
    open: Option<(u32, RedactStream)>,
}

impl Seam {
    /// The events to be stored in the place of `events`.
    pub(super) fn pass(&mut self, events: Vec<NewEvent>, redactor: impl Fn() -> Redactor) -> Vec<NewEvent> {
        let mut passed = Vec::with_capacity(events.len());
        for event in events {
            let Some((mut body, text)) = text_of(&event) else {
                passed.extend(self.close());
                passed.push(event);
                continue;
            };
            if self.open.as_ref().is_some_and(|(turn, _)| *turn != event.turn) {
                passed.extend(self.close());
            }
            // A key that comes during a text is looked for from the next text on, across borders; in each event, at once.
            let (_, stream) = self.open.get_or_insert_with(|| (event.turn, redactor().stream()));
            let clean = stream.push(text.as_bytes());
            if !clean.is_empty() {
                body["text"] = Value::String(String::from_utf8_lossy(&clean).into_owned());
                passed.push(NewEvent { body: body.to_string().into(), ..event });
            }
        }
        passed
    }

    /// What still waited.
    fn close(&mut self) -> Option<NewEvent> {
        let (turn, stream) = self.open.take()?;
        let rest = stream.finish();
        let body = serde_json::json!({ "text": String::from_utf8_lossy(&rest) });
        (!rest.is_empty()).then(|| NewEvent { turn, ..NewEvent::new(TEXT, &body) })
    }
}

/// Body and text of an event that carries text. Any other body is the store's to judge.
fn text_of(event: &NewEvent) -> Option<(Value, String)> {
    if event.kind != TEXT {
        return None;
    }
    let body: Value = serde_json::from_slice(&event.body).ok()?;
    let text = body.get("text")?.as_str()?.to_owned();
    Some((body, text))
}

#[cfg(test)]
mod tests {
    use stigmer_secrets::SecretValue;

    use super::*;

    const KEY: &str = "sk-canary-42";

    fn redactor() -> Redactor {
        Redactor::new([&SecretValue::new(KEY).unwrap()])
    }

    fn text(turn: u32, text: &str) -> NewEvent {
        NewEvent { turn, ..NewEvent::new(TEXT, &serde_json::json!({ "text": text })) }
    }

    fn other(kind: &str) -> NewEvent {
        NewEvent::new(kind, &serde_json::json!({}))
    }

    fn texts(events: &[NewEvent]) -> Vec<String> {
        events.iter().map(|event| text_of(event).map_or_else(|| event.kind.clone(), |(_, text)| text)).collect()
    }

    #[test]
    fn a_secret_cut_by_the_border_of_two_events_is_taken_out_whatever_the_cut() {
        let whole = format!("ask: {KEY}, and ask");
        for first in (0..=whole.len()).filter(|at| whole.is_char_boundary(*at)) {
            for second in first..=whole.len() {
                let mut seam = Seam::default();
                let pieces = [&whole[..first], &whole[first..second], &whole[second..]];
                // Each in a request of its own, as a runner sends them.
                let mut passed: Vec<_> =
                    pieces.iter().flat_map(|piece| seam.pass(vec![text(1, piece)], redactor)).collect();
                passed.extend(seam.pass(vec![other("usage")], redactor));
                assert_eq!(passed.pop().unwrap().kind, "usage");
                let seen = texts(&passed).concat();
                assert_eq!(seen, "ask: [redacted], and ask", "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn nothing_else_waits_and_nothing_is_lost_at_the_end_of_a_turn() {
        let mut seam = Seam::default();
        assert_eq!(texts(&seam.pass(vec![text(1, "plain "), text(1, "text")], redactor)), ["plain ", "text"]);
        // Only what may begin a secret is kept back.
        assert_eq!(texts(&seam.pass(vec![text(1, "it is sk-can")], redactor)), ["it is "]);
        assert_eq!(texts(&seam.pass(vec![other("tool_begin")], redactor)), ["sk-can", "tool_begin"]);
        assert_eq!(texts(&seam.pass(vec![text(1, "sk-"), text(2, "canary-42")], redactor)), ["sk-", "canary-42"]);
        assert!(seam.pass(vec![], redactor).is_empty());
    }

    #[test]
    fn without_a_known_secret_and_with_a_body_of_another_shape_events_pass_as_they_came() {
        let mut seam = Seam::default();
        let events = vec![text(1, "sk-canary-42"), NewEvent { body: "no json".into(), ..text(1, "") }, other("turn")];
        assert_eq!(seam.pass(events.clone(), Redactor::default), events);
    }
}
