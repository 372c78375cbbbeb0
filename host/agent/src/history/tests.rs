use serde_json::json;

use super::*;
use crate::journal::{Stop, TurnBegin, Usage};
use crate::tool::Repeat;

fn turn_begin(turn: u32) -> Entry {
    Entry::TurnBegin(TurnBegin { turn, request_sha256: String::new() })
}

fn turn_end(turn: u32) -> Entry {
    Entry::TurnEnd(TurnEnd { turn, message: json!({}), usage: Usage::default(), stop: Stop::Tools })
}

fn begin(turn: u32, index: u32) -> Entry {
    let (tool, args) = ("t".to_owned(), json!({}));
    Entry::CallBegin(CallBegin { call: CallId::new(turn, index), tool, args, repeat: Repeat::Never })
}

fn end(turn: u32, index: u32) -> Entry {
    let call = CallId::new(turn, index);
    Entry::CallEnd(CallEnd { call, text: String::new(), is_error: false, full: None, spilled: None })
}

#[test]
fn entries_that_follow_from_one_another_are_taken() {
    let entries = [turn_begin(1), turn_end(1), begin(1, 1), begin(1, 2), end(1, 2), end(1, 1), turn_begin(2)];
    for kept in 0..=entries.len() {
        let history = History::from_entries(entries[..kept].to_vec()).unwrap();
        assert_eq!(history.is_empty(), kept == 0);
        assert_eq!(history.begun().is_some(), kept == 1 || kept == 7);
    }
}

#[test]
fn entries_that_do_not_are_refused_by_name() {
    let call = CallId::new(1, 1);
    for (entries, error) in [
        (vec![turn_begin(2)], HistoryError::Turn { expected: 1, found: 2 }),
        (vec![turn_begin(1), turn_begin(1)], HistoryError::Turn { expected: 1, found: 1 }),
        (vec![turn_end(1)], HistoryError::Turn { expected: 1, found: 1 }),
        (vec![begin(1, 1)], HistoryError::Call { call }),
        (vec![turn_begin(1), begin(1, 1)], HistoryError::Call { call }),
        (vec![turn_begin(1), turn_end(1), end(1, 1)], HistoryError::Call { call }),
        (vec![turn_begin(1), turn_end(1), begin(1, 1), begin(1, 1)], HistoryError::Call { call }),
        (vec![turn_begin(1), turn_end(1), begin(1, 1), end(1, 1), end(1, 1)], HistoryError::Call { call }),
        (vec![turn_begin(1), turn_end(1), begin(1, 1), turn_begin(2)], HistoryError::Open { call }),
        (vec![turn_begin(1), turn_end(1), turn_begin(2), begin(1, 1)], HistoryError::Call { call }),
    ] {
        assert_eq!(History::from_entries(entries), Err(error));
    }
}
