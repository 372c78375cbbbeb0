//! Cuts a long result to head and tail. Pure; keeping the whole is the caller's part.

use crate::limits::{RESULT_BYTES, RESULT_HEAD_BYTES, RESULT_TAIL_BYTES};

/// Whether a result is too long for the model.
pub(crate) fn is_long(text: &str) -> bool {
    text.len() > RESULT_BYTES
}

/// Head and tail of `text`, and between them where the whole is: a path, or why it was not kept.
pub(crate) fn shorten(text: &str, whole_bytes: usize, kept: Result<&str, &str>) -> String {
    let head = &text[..floor(text, RESULT_HEAD_BYTES)];
    let tail = &text[ceil(text, text.len() - RESULT_TAIL_BYTES)..];
    let left_out = text.len() - head.len() - tail.len();
    format!("{head}\n\n[{left_out} bytes left out here. {}]\n\n{tail}", place(whole_bytes, kept))
}

/// Where the whole of a result is that the tool itself cut.
pub(crate) fn place(whole_bytes: usize, kept: Result<&str, &str>) -> String {
    match kept {
        Ok(path) => format!(
            "The whole result, {whole_bytes} bytes, is in `{path}`: page through it with `read_file`, `offset` and `limit`."
        ),
        Err(reason) => format!("The whole result, {whole_bytes} bytes, was not kept: {reason}."),
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_at_the_bound_is_whole_and_one_byte_more_is_not() {
        assert!(!is_long(&"x".repeat(RESULT_BYTES)));
        assert!(is_long(&"x".repeat(RESULT_BYTES + 1)));
    }

    #[test]
    fn head_and_tail_stay_and_the_middle_is_counted() {
        let text =
            format!("{}{}{}", "h".repeat(RESULT_HEAD_BYTES), "m".repeat(RESULT_BYTES), "t".repeat(RESULT_TAIL_BYTES));
        let short = shorten(&text, text.len(), Ok("/tmp/1.1"));
        assert!(short.starts_with(&"h".repeat(RESULT_HEAD_BYTES)));
        assert!(short.ends_with(&"t".repeat(RESULT_TAIL_BYTES)));
        assert!(
            short.contains("[32768 bytes left out here. The whole result, 57344 bytes, is in `/tmp/1.1`"),
            "{short}"
        );
        assert!(!short.contains("mm"));
        assert!(short.len() <= RESULT_BYTES);
    }

    #[test]
    fn characters_are_never_split() {
        for shift in 0..4 {
            let text = format!("{}{}", "x".repeat(shift), "\u{1f980}".repeat(RESULT_BYTES / 4 + 1));
            assert!(!shorten(&text, text.len(), Err("disk full")).contains('\u{fffd}'));
        }
    }
}
