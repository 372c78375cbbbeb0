//! Values as Python prints them: the compatible tools' result texts are made of its `repr`.

use std::fmt::Write;

/// A text as `repr` gives it: in single quotes, or in double ones when it holds a single quote and no double one.
#[must_use]
pub fn text(value: &str) -> String {
    let quote = if value.contains('\'') && !value.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(value.len() + 2);
    out.push(quote);
    for letter in value.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter == quote => out.extend(['\\', letter]),
            letter if is_printable(letter) => out.push(letter),
            letter => escape(&mut out, letter),
        }
    }
    out.push(quote);
    out
}

/// A list of texts: `['a', 'b']`.
pub fn list<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = values.into_iter().map(|value| text(value.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// Rust's own escaping for debug output follows the same Unicode categories as Python's `str.isprintable`. Marks that
/// combine with the letter before are escaped only at the start of a text, so a letter stands before it here.
fn is_printable(letter: char) -> bool {
    matches!(letter, '\'' | '"') || String::from_iter(['a', letter]).escape_debug().count() == 2
}

fn escape(out: &mut String, letter: char) {
    let code = u32::from(letter);
    // Writing to a `String` cannot fail.
    let _ = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_as_python_prints_them() {
        let cases = [
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", "\"it's\""),
            ("say \"x\"", "'say \"x\"'"),
            ("it's \"x\"", "'it\\'s \"x\"'"),
            ("a\\b\n\r\t", "'a\\\\b\\n\\r\\t'"),
            ("\u{7}\u{7f}\u{a0}\u{ad}", "'\\x07\\x7f\\xa0\\xad'"),
            ("é漢e\u{301}🦀", "'é漢e\u{301}🦀'"),
            ("\u{200b}\u{2028}\u{e000}", "'\\u200b\\u2028\\ue000'"),
            ("\u{e0001}", "'\\U000e0001'"),
        ];
        for (given, printed) in cases {
            assert_eq!(text(given), printed);
        }
        assert_eq!(list(["a", "it's"]), "['a', \"it's\"]");
        assert_eq!(list::<&str>([]), "[]");
    }
}
