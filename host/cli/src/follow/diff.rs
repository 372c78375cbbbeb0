//! An edit as a coloured diff.

use similar::{ChangeTag, TextDiff};

use super::text::clean;

/// Lines shown of one edit.
const MAX_LINES: usize = 40;
/// Lines around a change that are shown.
const CONTEXT: usize = 1;

/// The lines, coloured; the printer takes colour out where there is no terminal.
pub(super) fn lines(old: &str, new: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(old, new);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(CONTEXT) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let text = clean(change.value().trim_end_matches('\n'));
            lines.push(match change.tag() {
                ChangeTag::Delete => format!("\x1b[31m-{text}\x1b[0m"),
                ChangeTag::Insert => format!("\x1b[32m+{text}\x1b[0m"),
                ChangeTag::Equal => format!(" {text}"),
            });
        }
    }
    let more = lines.len().saturating_sub(MAX_LINES);
    lines.truncate(MAX_LINES);
    if more > 0 {
        lines.push(format!("… {more} lines more"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_goes_and_what_comes() {
        let shown = lines("a\nb\nc\n", "a\nB\nc\n");
        assert_eq!(shown, [" a", "\x1b[31m-b\x1b[0m", "\x1b[32m+B\x1b[0m", " c"]);
        let long: String = (0..100).map(|n| format!("{n}\n")).collect();
        assert_eq!(lines("", &long).len(), MAX_LINES + 1);
    }
}
