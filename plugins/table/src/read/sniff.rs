//! Finds out from its beginning how a file is written.

use super::Format;
use crate::error::Error;

/// Bytes looked at.
pub(super) const SAMPLE: usize = 64 << 10;
/// Rows compared.
const ROWS: usize = 100;
/// Candidates; earlier ones win a tie.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// UTF-8's byte order mark.
pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The format, from the first character.
pub(super) fn format(sample: &[u8]) -> Result<Format, Error> {
    let malformed = |reason: &str| Error::Malformed { row: 0, reason: reason.to_owned() };
    if sample.starts_with(b"\xFF\xFE") || sample.starts_with(b"\xFE\xFF") {
        return Err(malformed("UTF-16 text; only UTF-8 is read"));
    }
    if sample.iter().take(1024).any(|byte| *byte == 0) {
        return Err(malformed("binary content (a NUL byte), neither CSV nor JSON Lines"));
    }
    let text = sample.strip_prefix(BOM).unwrap_or(sample);
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => Ok(Format::JsonLines),
        Some(b'[') if serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() => {
            Err(malformed("one JSON array, not JSON Lines (one object a line)"))
        }
        _ => Ok(Format::Csv),
    }
}

/// The delimiter that splits the first rows into more than one field, most evenly, then into most fields.
pub(super) fn delimiter(sample: &[u8], whole_file: bool) -> u8 {
    let mut best = (b',', (0, 0));
    for candidate in DELIMITERS {
        let score = score(sample, candidate, whole_file);
        if score > best.1 {
            best = (candidate, score);
        }
    }
    best.0
}

/// Per mille of rows with the commonest number of fields (0 when that is one), then that number.
fn score(sample: &[u8], delimiter: u8, whole_file: bool) -> (usize, usize) {
    let mut reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
    let mut input = sample.strip_prefix(BOM).unwrap_or(sample);
    let mut counts = std::collections::BTreeMap::<usize, usize>::new();
    let (mut rows, mut fields) = (0, 0);
    let mut field = vec![0; SAMPLE];
    while rows < ROWS {
        let (result, read, _) = reader.read_field(input, &mut field);
        // The end of the sample is not the end of the file: the last row may be cut, so it does not count.
        if input.is_empty() && !whole_file {
            break;
        }
        input = &input[read..];
        match result {
            csv_core::ReadFieldResult::Field { record_end } => {
                fields += 1;
                if record_end {
                    *counts.entry(fields).or_default() += 1;
                    (rows, fields) = (rows + 1, 0);
                }
            }
            csv_core::ReadFieldResult::InputEmpty | csv_core::ReadFieldResult::OutputFull => {}
            csv_core::ReadFieldResult::End => break,
        }
    }
    match counts.iter().max_by_key(|(_, count)| **count) {
        Some((fields, count)) if *fields > 1 => (count * 1000 / rows, *fields),
        _ => (0, 0),
    }
}
