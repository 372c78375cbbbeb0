//! The line that is typed, in memory that is wiped.

use zeroize::Zeroizing;

use crate::value::{MAX_VALUE, SecretValue, SecretValueError};

/// What a byte did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// This is to be shown.
    Shown(String),
    /// Nothing is to be shown.
    Nothing,
    /// The line is done.
    End,
    /// The person wants no more of it.
    Broken,
}

/// Bytes so far.
pub(super) struct Line {
    /// Never grows beyond its first capacity: growing would leave a copy behind.
    bytes: Zeroizing<Vec<u8>>,
    escape: Escape,
    too_long: bool,
}

/// Where in an escape sequence (arrow keys, the marks around a paste) the input stands.
#[derive(PartialEq, Eq)]
enum Escape {
    No,
    Begun,
    Sequence,
}

const BACKSPACE: u8 = 0x08;
const ESCAPE: u8 = 0x1b;
const DELETE: u8 = 0x7f;
const CTRL_D: u8 = 0x04;
const CTRL_U: u8 = 0x15;
const CTRL_W: u8 = 0x17;
/// Goes back over one mask.
const WIPE: &str = "\x08 \x08";

impl Default for Line {
    fn default() -> Line {
        // The value and the white space around it.
        let bytes = Zeroizing::new(Vec::with_capacity(MAX_VALUE * 2));
        Line { bytes, escape: Escape::No, too_long: false }
    }
}

impl Line {
    /// Takes the next byte that was typed.
    pub(super) fn take(&mut self, byte: u8) -> Key {
        match (&self.escape, byte) {
            (Escape::Begun, b'[' | b'O') => {
                self.escape = Escape::Sequence;
                return Key::Nothing;
            }
            (Escape::Sequence, 0x20..0x40) => return Key::Nothing,
            (Escape::Sequence, 0x40..DELETE) => {
                self.escape = Escape::No;
                return Key::Nothing;
            }
            _ => self.escape = Escape::No,
        }
        match byte {
            b'\r' | b'\n' => Key::End,
            CTRL_D if self.bytes.is_empty() => Key::Broken,
            BACKSPACE | DELETE => self.remove(1),
            CTRL_U | CTRL_W => self.remove(self.chars()),
            ESCAPE => {
                self.escape = Escape::Begun;
                Key::Nothing
            }
            // No key holds them; NUL stays in, to be named.
            1..0x20 if byte != b'\t' => Key::Nothing,
            byte => {
                if self.bytes.len() == self.bytes.capacity() {
                    self.too_long = true;
                    return Key::Nothing;
                }
                self.bytes.push(byte);
                if begins_char(byte) { Key::Shown("*".to_owned()) } else { Key::Nothing }
            }
        }
    }

    fn remove(&mut self, chars: usize) -> Key {
        let mut wiped = String::new();
        for _ in 0..chars {
            let Some(at) = self.bytes.iter().rposition(|byte| begins_char(*byte)) else { break };
            self.bytes.truncate(at);
            wiped.push_str(WIPE);
        }
        if wiped.is_empty() { Key::Nothing } else { Key::Shown(wiped) }
    }

    /// Characters so far: masks that are shown.
    pub(super) fn chars(&self) -> usize {
        self.bytes.iter().filter(|byte| begins_char(**byte)).count()
    }

    /// The value.
    ///
    /// # Errors
    /// [`SecretValueError`].
    pub(super) fn value(self) -> Result<SecretValue, SecretValueError> {
        if self.too_long {
            return Err(SecretValueError::TooLong);
        }
        let text = std::str::from_utf8(&self.bytes).map_err(|_| SecretValueError::NotText)?;
        SecretValue::new(text)
    }
}

/// Whether a byte of UTF-8 begins a character.
fn begins_char(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(bytes: &[u8]) -> (Line, String) {
        let mut line = Line::default();
        let mut shown = String::new();
        for byte in bytes {
            if let Key::Shown(text) = line.take(*byte) {
                shown.push_str(&text);
            }
        }
        (line, shown)
    }

    #[test]
    fn keys_are_edited_and_masked() {
        for (bytes, value, shown) in [
            (&b"sk-1"[..], "sk-1", "****"),
            (b"sk-12\x7f", "sk-1", "*****\x08 \x08"),
            ("k\u{fc}\x08y".as_bytes(), "ky", "**\x08 \x08*"),
            (b"old\x15new", "new", "***\x08 \x08\x08 \x08\x08 \x08***"),
            (b"\x1b[200~sk-1\x1b[201~", "sk-1", "****"),
            (b"s\x1b[Dk\x1bOA-1\x07", "sk-1", "****"),
            (b"\x7f\x15sk", "sk", "**"),
        ] {
            let (line, seen) = typed(bytes);
            assert_eq!((line.value().unwrap().expose(), seen.as_str()), (value, shown));
        }
    }

    #[test]
    fn ends_and_faults() {
        assert_eq!(Line::default().take(CTRL_D), Key::Broken);
        assert_eq!(typed(b"k").0.take(CTRL_D), Key::Nothing);
        assert_eq!(typed(b"k").0.take(b'\n'), Key::End);
        assert_eq!(typed(b"k\xff").0.value().unwrap_err(), SecretValueError::NotText);
        assert_eq!(typed(b"k\0k").0.value().unwrap_err(), SecretValueError::Nul);
        assert_eq!(typed(&vec![b'k'; MAX_VALUE * 3]).0.value().unwrap_err(), SecretValueError::TooLong);
        let (line, _) = typed(&vec![b'k'; MAX_VALUE]);
        assert_eq!(line.value().unwrap().expose().len(), MAX_VALUE);
    }
}
