//! What a cell's text means: its type, its number, its place in an order.

use std::cmp::Ordering;

/// What all values of a column have in common; see the WIT enum `column-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
    /// `true`, `false`.
    Boolean,
    /// Dates.
    Date,
    /// Dates with a time.
    Timestamp,
    /// Anything else.
    Text,
    /// No value at all.
    Empty,
}

/// A cell read as a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "statistics are in f64; exact sums keep the integer itself")]
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Number::Integer(value) => value as f64,
            Number::Float(value) => value,
        }
    }
}

/// The number that `text` is, if it is one: decimal, finite, without leading zeros (those are codes, not counts).
pub(crate) fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text).as_bytes();
    match digits {
        [b'0', b'0'..=b'9', ..] => return None,
        [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => {}
        _ => return None,
    }
    if let Ok(value) = text.parse::<i64>() {
        return Some(Number::Integer(value));
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Number::Float)
}

/// The narrowest type that `text` has by itself.
pub(crate) fn type_of(text: &str) -> ColumnType {
    match text.as_bytes() {
        [b't' | b'T' | b'f' | b'F', ..] if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") => {
            ColumnType::Boolean
        }
        [b'0'..=b'9' | b'-' | b'+' | b'.', ..] => match number(text) {
            Some(Number::Integer(_)) => ColumnType::Integer,
            Some(Number::Float(_)) => ColumnType::Number,
            None => date_or_time(text),
        },
        _ => ColumnType::Text,
    }
}

fn date_or_time(text: &str) -> ColumnType {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || !is_date(&bytes[..10]) {
        return ColumnType::Text;
    }
    match &bytes[10..] {
        [] => ColumnType::Date,
        [b'T' | b't' | b' ', time @ ..] if is_time(time) => ColumnType::Timestamp,
        _ => ColumnType::Text,
    }
}

/// `YYYY-MM-DD` or `YYYY/MM/DD` with a month and day that can be.
fn is_date(date: &[u8]) -> bool {
    let [y @ .., s1, m1, m2, s2, d1, d2] = date else { return false };
    let two = |a: &u8, b: &u8| (a.is_ascii_digit() && b.is_ascii_digit()).then(|| (a - b'0') * 10 + (b - b'0'));
    y.len() == 4
        && y.iter().all(u8::is_ascii_digit)
        && s1 == s2
        && matches!(s1, b'-' | b'/')
        && two(m1, m2).is_some_and(|month| (1..=12).contains(&month))
        && two(d1, d2).is_some_and(|day| (1..=31).contains(&day))
}

/// `HH:MM`, `HH:MM:SS`, with fraction and zone (RFC 3339, a little wider).
fn is_time(time: &[u8]) -> bool {
    let Ok(time) = std::str::from_utf8(time) else { return false };
    let (clock, zone) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => time.split_at(at),
        None => (time, ""),
    };
    let zone_fits = match zone.as_bytes() {
        [] | [b'Z' | b'z'] => true,
        [_, rest @ ..] => rest.len() >= 2 && rest.len() <= 5 && rest.iter().all(|b| b.is_ascii_digit() || *b == b':'),
    };
    let clock = clock.trim_end();
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = whole.split(':');
    let in_range = |part: Option<&str>, below: u8| {
        part.is_some_and(|p| {
            p.len() == 2 && p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u8>().is_ok_and(|n| n < below)
        })
    };
    let seconds = |part: Option<&str>| part.is_none() || in_range(part, 61);
    zone_fits
        && !fraction.is_empty()
        && fraction.bytes().all(|b| b.is_ascii_digit())
        && in_range(parts.next(), 24)
        && in_range(parts.next(), 60)
        && seconds(parts.next())
        && parts.next().is_none()
}

/// Total order of cells: numbers by value, then texts by bytes, then cells without a value.
pub(crate) fn compare(left: Option<&str>, right: Option<&str>) -> Ordering {
    match (left, right) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(left), Some(right)) => match (number(left), number(right)) {
            (Some(a), Some(b)) => compare_numbers(a, b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => left.cmp(right),
        },
    }
}

/// Order of two numbers; two whole ones are compared exactly.
pub(crate) fn compare_numbers(left: Number, right: Number) -> Ordering {
    match (left, right) {
        (Number::Integer(a), Number::Integer(b)) => a.cmp(&b),
        (a, b) => a.as_f64().total_cmp(&b.as_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_single_texts() {
        use ColumnType::{Boolean, Date, Integer, Number, Text, Timestamp};
        for (text, want) in [
            ("0", Integer),
            ("-12", Integer),
            ("9223372036854775807", Integer),
            ("9223372036854775808", Number),
            ("1.5", Number),
            (".5", Number),
            ("1e9", Number),
            ("1e999", Text),
            ("007", Text),
            ("0.7", Number),
            ("inf", Text),
            ("NaN", Text),
            ("-", Text),
            ("1,5", Text),
            ("TRUE", Boolean),
            ("trueish", Text),
            ("2024-05-31", Date),
            ("2024/05/31", Date),
            ("2024-13-31", Text),
            ("2024-05/31", Text),
            ("2024-05-31T12:00:00Z", Timestamp),
            ("2024-05-31 12:00", Timestamp),
            ("2024-05-31 12:00:00.25+02:00", Timestamp),
            ("2024-05-31 25:00", Text),
            ("2024-05-31x", Text),
            ("20é4-05-31", Text),
            ("text", Text),
        ] {
            assert_eq!(type_of(text), want, "{text:?}");
        }
    }

    #[test]
    fn order_is_numbers_texts_nothing() {
        let mut cells = [None, Some("b"), Some("10"), Some("9"), Some("a"), Some("-1.5")];
        cells.sort_by(|a, b| compare(*a, *b));
        assert_eq!(cells, [Some("-1.5"), Some("9"), Some("10"), Some("a"), Some("b"), None]);
    }
}
