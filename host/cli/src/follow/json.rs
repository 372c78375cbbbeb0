//! For programs: one JSON object a line, or one at the end. The schema is `docs/schema/run-stream.json`.

use serde_json::{Value, json};
use stigmer_proto::local::ShowExecutionReply;

use super::Show;
use super::event::Event;
use crate::execution::record_json;
use crate::printer::Printer;

/// Version of the lines: grows when a field changes its meaning or goes.
const VERSION: u32 = 1;

fn line(kind: &str, mut fields: Value) -> Value {
    let mut line = json!({ "version": VERSION, "kind": kind });
    if let (Some(line), Some(fields)) = (line.as_object_mut(), fields.as_object_mut()) {
        line.append(fields);
    }
    line
}

fn result(record: &ShowExecutionReply) -> Value {
    line("result", record_json(record))
}

/// As it happens.
pub(super) struct Stream<'a> {
    printer: &'a Printer,
    execution: String,
    /// What the model has said of this turn and was not written yet.
    said: String,
    turn: u32,
}

impl<'a> Stream<'a> {
    pub(super) fn new(printer: &'a Printer) -> Self {
        Stream { printer, execution: String::new(), said: String::new(), turn: 0 }
    }

    fn write(&self, value: &Value) {
        self.printer.json(value);
    }

    fn flush(&mut self) {
        if !self.said.is_empty() {
            let text = std::mem::take(&mut self.said);
            self.write(&line("message", json!({ "turn": self.turn, "text": text })));
        }
    }
}

impl Show for Stream<'_> {
    fn begin(&mut self, about: &ShowExecutionReply, scripted: bool) {
        let execution = about.execution.clone().unwrap_or_default();
        self.execution.clone_from(&execution.id);
        let level = stigmer_policy::Level::ALL.iter().find(|level| level.name() == execution.level);
        self.write(&line(
            "init",
            json!({
                "execution": execution.id, "provider": execution.provider, "model": execution.model,
                "scripted": scripted || execution.provider == "script", "sandbox": execution.sandbox,
                "level": execution.level, "confined": execution.level != "filesystem",
                "not_prevented": level.map(|level| crate::standing::open(*level)).unwrap_or_default(),
                "workspace": execution.workspace,
            }),
        ));
    }

    fn event(&mut self, event: &Event) {
        if let Event::Text { turn, text } = event {
            if *turn != self.turn {
                self.flush();
                self.turn = *turn;
            }
            self.said.push_str(text);
            return;
        }
        self.flush();
        let value = match event {
            Event::Text { .. } | Event::Turn | Event::Ended { .. } => return,
            Event::ToolBegin { turn, call, tool, args } => {
                line("tool_use", json!({ "turn": turn, "call": call, "tool": tool, "args": args }))
            }
            Event::ToolEnd { turn, call, tool, text, is_error, took_ms } => line(
                "tool_result",
                json!({ "turn": turn, "call": call, "tool": tool, "text": text, "is_error": is_error, "took_ms": took_ms }),
            ),
            Event::Denial { call, rule, subject, reason, grant, observer } => line(
                "error",
                json!({
                    "what": "denial", "call": call, "rule": rule, "subject": subject, "reason": reason,
                    "grant": grant, "observer": observer,
                }),
            ),
            Event::Asked { call, tool, summary } => line(
                "approval",
                json!({
                    "state": "waiting", "call": call, "tool": tool, "summary": summary,
                    "approve": approve_command(&self.execution, call),
                }),
            ),
            Event::Answered { call, approved } => {
                line("approval", json!({ "state": if *approved { "approved" } else { "denied" }, "call": call }))
            }
            Event::Limit { reason } => line("error", json!({ "what": "limit", "reason": reason })),
            Event::Retry { attempt, wait_ms, reason } => {
                line("error", json!({ "what": "retry", "reason": reason, "attempt": attempt, "wait_ms": wait_ms }))
            }
            Event::Interrupted { reason } => line("error", json!({ "what": "interrupted", "reason": reason })),
            Event::Parked { reason } => line("error", json!({ "what": "parked", "reason": reason })),
        };
        self.write(&value);
    }

    fn end(&mut self, record: &ShowExecutionReply) {
        self.flush();
        self.write(&result(record));
    }

    fn left(&mut self) {
        self.flush();
        self.write(&left(&self.execution));
    }
}

fn left(execution: &str) -> Value {
    let reason = "the daemon was stopped; the execution goes on at its next start";
    let follow = format!("stigmer execution follow {execution}");
    line("error", json!({ "what": "stopped", "execution": execution, "reason": reason, "follow": follow }))
}

/// The exact words that let a waiting call go on.
pub(super) fn approve_command(execution: &str, call: &str) -> String {
    format!("stigmer execution approve {execution} --call {call}")
}

/// At the end.
pub(super) struct Whole<'a> {
    printer: &'a Printer,
    execution: String,
}

impl<'a> Whole<'a> {
    pub(super) fn new(printer: &'a Printer) -> Self {
        Whole { printer, execution: String::new() }
    }
}

impl Show for Whole<'_> {
    fn begin(&mut self, about: &ShowExecutionReply, _: bool) {
        self.execution = about.execution.clone().unwrap_or_default().id;
    }

    fn event(&mut self, event: &Event) {
        // Nothing else is written before the end, but somebody has to know what it waits for.
        if let Event::Asked { call, summary, .. } = event {
            let command = approve_command(&self.execution, call);
            self.printer.note(format_args!("`{}` waits for an answer: {command}", super::text::clean(summary)));
        }
    }

    fn end(&mut self, record: &ShowExecutionReply) {
        self.printer.json(&result(record));
    }

    fn left(&mut self) {
        self.printer.json(&left(&self.execution));
        self.printer.note(format_args!("`{}` is parked: the daemon was stopped", self.execution));
        self.printer.hint(format_args!("{}", super::go_on(&self.execution)));
    }
}
