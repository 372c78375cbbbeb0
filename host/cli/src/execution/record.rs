//! The daemon's record as JSON: one shape for `show --json`, for `list --json` and for the result of a run.

use serde_json::{Value, json};
use stigmer_proto::local::{Execution, ShowExecutionReply};

/// One execution in a list.
pub(super) fn execution_json(it: &Execution) -> Value {
    json!({
        "id": it.id, "state": it.state, "outcome": none_if_empty(&it.outcome), "reason": it.reason,
        "created_ms": it.created_ms, "ended_ms": (it.ended_ms != 0).then_some(it.ended_ms),
        "workspace": it.workspace, "provider": it.provider, "model": it.model,
        "sandbox": it.sandbox, "level": it.level, "confined": it.level != "filesystem",
        "title": it.title, "parent": none_if_empty(&it.parent), "last_seq": it.last_seq,
    })
}

/// Everything that is recorded of one execution. The execution's own fields stand beside the lists.
pub(crate) fn record_json(record: &ShowExecutionReply) -> Value {
    let mut value = execution_json(&record.execution.clone().unwrap_or_default());
    let files = record.files.iter().map(|it| {
        json!({
            "path": it.path, "change": it.change, "size": it.size, "sha256": none_if_empty(&it.sha256),
            "wall": it.wall,
        })
    });
    let denials = record.denials.iter().map(|it| {
        json!({
            "rule": it.rule, "subject": it.subject, "reason": it.reason, "grant": none_if_empty(&it.grant),
            "observer": it.observer, "wall": none_if_empty(&it.wall), "count": it.count,
        })
    });
    let approvals = record.approvals.iter().map(|it| {
        json!({ "call": it.call, "tool": it.tool, "summary": it.summary, "state": it.state, "asked_ms": it.asked_ms })
    });
    let usage = record.usage.unwrap_or_default();
    value["text"] = json!(record.text);
    value["files"] = files.collect();
    value["files_partial"] = json!(record.files_partial);
    value["denials"] = denials.collect();
    value["approvals"] = approvals.collect();
    value["usage"] = json!({
        "turns": usage.turns, "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens, "cache_write_tokens": usage.cache_write_tokens,
    });
    value
}

fn none_if_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
