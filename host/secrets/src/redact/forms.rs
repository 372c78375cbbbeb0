//! The forms in which a value shows up in sinks.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// Shortest base64 form that is looked for, in bytes: what is left of a very short value after its edges are cut off
/// would be found in ordinary text.
const MIN_BASE64: usize = 6;

/// Each form of each value once, longest first.
pub(super) fn of<'a>(values: impl Iterator<Item = &'a str>) -> Vec<Zeroizing<Vec<u8>>> {
    let mut all = Vec::new();
    for value in values {
        all.push(Zeroizing::new(value.as_bytes().to_vec()));
        base64(value.as_bytes(), &mut all);
        for upper in [true, false] {
            all.push(url(value, upper, false));
            all.push(url(value, upper, true));
        }
        for slash in [false, true] {
            all.push(json(value, slash, false));
            all.push(json(value, slash, true));
        }
        // A JSON text inside a JSON string: a tool's arguments in a model's request.
        let inner = json(value, false, false);
        if let Ok(text) = std::str::from_utf8(&inner) {
            all.push(json(text, false, false));
        }
    }
    all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    all.dedup();
    all
}

/// The characters that depend on the value alone, at each offset that the value can have in a longer encoded text.
fn base64(value: &[u8], all: &mut Vec<Zeroizing<Vec<u8>>>) {
    for offset in 0..3 {
        let mut padded = Zeroizing::new(vec![0_u8; offset]);
        padded.extend_from_slice(value);
        // A character carries 6 bits: those that share bits with the neighbours differ from text to text.
        let first = (offset * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let encoded = Zeroizing::new(engine.encode(&*padded));
            let inner = &encoded.as_bytes()[first..last];
            if inner.len() >= MIN_BASE64 {
                all.push(Zeroizing::new(inner.to_vec()));
            }
        }
    }
}

/// Percent-encoding (RFC 3986, 2.1 and 2.3); `form`: a space is `+` (application/x-www-form-urlencoded).
fn url(value: &str, upper: bool, form: bool) -> Zeroizing<Vec<u8>> {
    let digits: &[u8; 16] = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 3));
    for byte in value.bytes() {
        match byte {
            b' ' if form => out.push(b'+'),
            _ if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') => out.push(byte),
            _ => out.extend([b'%', digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]),
        }
    }
    out
}

/// String escapes of JSON (RFC 8259, 7); `slash`: `/` is escaped too; `ascii`: so is everything beyond ASCII.
fn json(value: &str, slash: bool, ascii: bool) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 2));
    for character in value.chars() {
        match character {
            '"' => out.extend(b"\\\""),
            '\\' => out.extend(b"\\\\"),
            '/' if slash => out.extend(b"\\/"),
            '\n' => out.extend(b"\\n"),
            '\r' => out.extend(b"\\r"),
            '\t' => out.extend(b"\\t"),
            _ if (character as u32) < 0x20 || (ascii && !character.is_ascii()) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.extend(format!("\\u{unit:04x}").bytes());
                }
            }
            _ => out.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    out
}
