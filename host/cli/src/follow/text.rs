//! For people: the model's text as it comes, a line for each tool call, edits as a diff, denials with what would allow
//! them. In a pipe stdout carries the model's text alone; the rest goes to stderr, without colour.

use std::collections::HashMap;

use serde_json::Value;
use stigmer_proto::local::ShowExecutionReply;

use super::Show;
use super::diff;
use super::event::Event;
use super::json::approve_command;
use crate::banner;
use crate::printer::Printer;

/// Longest summary of a call's arguments, in characters.
const SUMMARY: usize = 100;
/// Longest account of why a call failed, in characters: a sentence or two.
const REASON: usize = 240;

pub(super) struct Text<'a> {
    printer: &'a Printer,
    execution: String,
    /// Somebody is asked right here.
    asks: bool,
    /// Arguments of calls that run.
    running: HashMap<String, Value>,
    /// The model's text does not end with a line break yet.
    open_line: bool,
}

impl<'a> Text<'a> {
    pub(super) fn new(printer: &'a Printer, asks: bool) -> Self {
        Text { printer, execution: String::new(), asks, running: HashMap::new(), open_line: false }
    }

    fn close_line(&mut self) {
        if std::mem::take(&mut self.open_line) {
            self.printer.text("\n");
        }
    }

    fn side(&mut self, line: &str) {
        self.close_line();
        self.printer.side(format_args!("{line}"));
    }

    fn denied(&mut self, rule: &str, subject: &str, reason: &str, grant: &str) {
        self.side(&format!("\x1b[31mdenied\x1b[0m {}: {} (rule {})", clean(subject), clean(reason), clean(rule)));
        if !grant.is_empty() {
            self.side(&format!("  \x1b[36mwould be allowed by\x1b[0m {}", clean(grant)));
        }
    }

    fn finished(&mut self, call: &str, tool: &str, text: &str, is_error: bool, took_ms: u64) {
        let args = self.running.remove(call).unwrap_or(Value::Null);
        let mark = if is_error { "\x1b[31m✗\x1b[0m" } else { "\x1b[32m✓\x1b[0m" };
        let seconds = took_ms as f64 / 1000.0;
        let exit = exit(tool, text).map(|code| format!(" \x1b[33mexit {code}\x1b[0m")).unwrap_or_default();
        let tool_name = clean(tool);
        self.side(&format!("{mark} \x1b[1m{tool_name}\x1b[0m {}{exit} \x1b[2m{seconds:.1}s\x1b[0m", summary(&args)));
        if is_error {
            // A denial is an event of its own, which says the same and more.
            if !text.starts_with(DENIED) {
                let first = clean(text.lines().next().unwrap_or_default());
                self.side(&format!("  {}", shorten(&first, REASON)));
            }
        } else if let Some((old, new)) = change(tool, &args) {
            for line in diff::lines(old, new) {
                self.side(&format!("  {line}"));
            }
        }
    }
}

impl Show for Text<'_> {
    fn begin(&mut self, about: &ShowExecutionReply, scripted: bool) {
        let execution = about.execution.clone().unwrap_or_default();
        self.execution.clone_from(&execution.id);
        let model = if scripted || execution.provider == "script" {
            "\x1b[33mscripted model: every answer was written down beforehand\x1b[0m".to_owned()
        } else {
            format!("{} {}", clean(&execution.provider), clean(&execution.model))
        };
        self.side(&format!("\x1b[2m{}\x1b[0m  {model}", execution.id));
        let walls = banner::walls(&execution.sandbox, &execution.level);
        self.side(&format!("\x1b[2m{walls}, {}\x1b[0m", clean(&execution.workspace)));
        let level = stigmer_policy::Level::ALL.iter().find(|level| level.name() == execution.level);
        let open = level.map(|level| crate::standing::open(*level)).unwrap_or_default();
        if !open.is_empty() {
            self.side(&format!("\x1b[2mnot prevented here: {}\x1b[0m", open.join(", ")));
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Text { text, .. } => {
                let text = clean_text(text);
                if !text.is_empty() {
                    self.open_line = !text.ends_with('\n');
                    self.printer.text(&text);
                }
            }
            Event::Turn => self.close_line(),
            Event::ToolBegin { call, args, .. } => {
                self.running.insert(call.clone(), args.clone());
            }
            Event::ToolEnd { call, tool, text, is_error, took_ms, .. } => {
                self.finished(call, tool, text, *is_error, *took_ms);
            }
            Event::Denial { rule, subject, reason, grant, .. } => {
                self.denied(rule, subject, reason, grant);
            }
            // The question says it.
            Event::Asked { .. } if self.asks => self.close_line(),
            Event::Asked { call, summary, .. } => {
                let command = approve_command(&self.execution, call);
                self.side(&format!("\x1b[33mwaits\x1b[0m for an answer: {}", clean(summary)));
                self.side(&format!("  {command}"));
            }
            Event::Answered { approved, .. } => self.side(if *approved { "approved" } else { "denied by a person" }),
            Event::Limit { reason } => self.side(&format!("\x1b[33mlimit\x1b[0m {}", clean(reason))),
            Event::Retry { attempt, wait_ms, reason } => {
                let reason = shorten(&clean(reason), REASON);
                self.side(&format!("try {attempt} failed, again in {wait_ms} ms: {reason}"));
            }
            Event::Interrupted { reason } => self.side(&format!("interrupted: {}", clean(reason))),
            // The approval was told with its question; that the daemon stops is told at the end.
            Event::Parked { reason } if reason == "key" => self.side("parked, waits for a key"),
            Event::Parked { .. } => {}
            Event::Ended { outcome, reason } => {
                self.close_line();
                if outcome != "completed" {
                    self.printer.error(format_args!("{}: {}", clean(outcome), clean_text(reason)));
                }
            }
        }
    }

    fn end(&mut self, record: &ShowExecutionReply) {
        for file in &record.files {
            self.side(&format!("{} {} ({} bytes, by {})", file.change, clean(&file.path), file.size, file.wall));
        }
        self.side(&format!("\x1b[2m{}\x1b[0m", used(record)));
    }

    fn left(&mut self) {
        self.close_line();
        self.printer.note(format_args!("`{}` is parked: the daemon was stopped", self.execution));
        self.printer.hint(format_args!("{}", super::go_on(&self.execution)));
    }
}

/// What a call that changed a file took out, and what it put in its place. A file that is written is new: `write_file`
/// replaces none.
fn change<'a>(tool: &str, args: &'a Value) -> Option<(&'a str, &'a str)> {
    let part = |name: &str| args[name].as_str();
    match tool {
        "edit_file" => Some((part("old_string")?, part("new_string")?)),
        "write_file" => Some(("", part("content")?)),
        _ => None,
    }
}

/// How the result of a refused call begins.
const DENIED: &str = "Denied: ";

/// What an execution used, in words.
pub(crate) fn used(record: &ShowExecutionReply) -> String {
    let usage = record.usage.unwrap_or_default();
    let input = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens;
    let turns = if usage.turns == 1 { "turn" } else { "turns" };
    format!("{} {turns}, {input} tokens in, {} out", usage.turns, usage.output_tokens)
}

/// The exit code of a command that ran and failed: no error of the call, but worth a look. From the result's last line.
fn exit(tool: &str, text: &str) -> Option<u32> {
    if tool != "execute" {
        return None;
    }
    text.trim_end()
        .rsplit('\n')
        .next()?
        .strip_prefix("[Command failed with exit code ")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

/// The list of things to do: how far it is, and what is done now.
fn todos(args: &Value) -> Option<String> {
    let list = args["todos"].as_array()?;
    let with = |status: &str| list.iter().filter(|todo| todo["status"] == status).collect::<Vec<_>>();
    let now = with("in_progress").first().and_then(|todo| todo["content"].as_str());
    let now = now.map(|content| format!(", now: {content}")).unwrap_or_default();
    Some(format!("{} of {} done{now}", with("completed").len(), list.len()))
}

/// The argument that says most, on one line.
fn summary(args: &Value) -> String {
    let named = ["command", "file_path", "path", "pattern"].iter().find_map(|name| args[name].as_str());
    let text = match named {
        Some(text) => text.to_owned(),
        None if args["todos"].is_array() => todos(args).unwrap_or_default(),
        None if args.as_object().is_none_or(serde_json::Map::is_empty) => String::new(),
        None => args.to_string(),
    };
    shorten(&clean(&text), SUMMARY)
}

fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// One line without control characters: nothing that an agent wrote may move the cursor or set a title.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// As [`clean`], but line breaks and tabs stay.
fn clean_text(text: &str) -> String {
    text.chars().filter(|char| !char.is_control() || matches!(char, '\n' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_an_agent_wrote_steers_the_terminal() {
        assert_eq!(clean("a\x1b]0;title\x07\nb"), "a ]0;title  b");
        assert_eq!(clean_text("a\x1b[2J\n\tb\r"), "a[2J\n\tb");
    }

    #[test]
    fn edits_and_new_files_are_shown_as_what_goes_and_what_comes() {
        let edit = serde_json::json!({ "file_path": "/w/a", "old_string": "a", "new_string": "b" });
        assert_eq!(change("edit_file", &edit), Some(("a", "b")));
        let written = serde_json::json!({ "file_path": "/w/a", "content": "x\n" });
        assert_eq!(change("write_file", &written), Some(("", "x\n")));
        assert_eq!(change("read_file", &written), None);
        assert_eq!(change("write_file", &Value::Null), None);
    }

    #[test]
    fn only_a_commands_own_last_line_is_its_exit_code() {
        assert_eq!(exit("execute", "x\n\n[Command failed with exit code 2]"), Some(2));
        assert_eq!(exit("execute", "[Command failed with exit code 2]\nmore"), None);
        assert_eq!(exit("read_file", "[Command failed with exit code 2]"), None);
    }

    #[test]
    fn a_call_is_told_by_the_argument_that_says_most() {
        assert_eq!(summary(&serde_json::json!({ "file_path": "/w/a", "content": "x" })), "/w/a");
        assert_eq!(summary(&serde_json::json!({})), "");
        let todo = |content: &str, status: &str| serde_json::json!({ "content": content, "status": status });
        let todos =
            serde_json::json!({ "todos": [todo("a", "completed"), todo("b", "in_progress"), todo("c", "pending")] });
        assert_eq!(summary(&todos), "1 of 3 done, now: b");
        assert_eq!(summary(&serde_json::json!({ "todos": [] })), "0 of 0 done");
        assert_eq!(summary(&serde_json::json!({ "n": 1 })), "{\"n\":1}");
        assert_eq!(summary(&serde_json::json!({ "command": "é".repeat(200) })).chars().count(), SUMMARY + 1);
    }
}
