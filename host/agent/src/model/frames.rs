//! Cuts a byte stream into lines or server-sent events, whatever way it arrives.

use super::AnswerError;
use crate::limits::{ANSWER_BYTES, STREAM_EVENT_BYTES};

/// Splits bytes into lines, without their line end. A line may end in `\n` or `\r\n`.
#[derive(Debug, Default)]
pub(super) struct Lines {
    held: Vec<u8>,
    taken: usize,
}

impl Lines {
    /// Takes bytes and gives back the lines that they completed.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, AnswerError> {
        self.taken = self.taken.saturating_add(bytes.len());
        if self.taken > ANSWER_BYTES {
            return Err(AnswerError::TooLong { limit: ANSWER_BYTES });
        }
        let mut lines = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.hold(&rest[..end])?;
            lines.push(take_line(&mut self.held)?);
            rest = &rest[end + 1..];
        }
        self.hold(rest)?;
        Ok(lines)
    }

    /// What stands after the last line end. It may have been cut anywhere, also within a character.
    pub(super) fn rest(self) -> Vec<u8> {
        self.held
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), AnswerError> {
        if self.held.len() + bytes.len() > STREAM_EVENT_BYTES {
            return Err(AnswerError::TooLong { limit: STREAM_EVENT_BYTES });
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }
}

fn take_line(held: &mut Vec<u8>) -> Result<String, AnswerError> {
    let mut line = std::mem::take(held);
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|_| AnswerError::Malformed("a line is not UTF-8".to_owned()))
}

/// Reads the `data` of server-sent events (WHATWG HTML, 9.2.6). The `event` field is not kept: each API that is read
/// here repeats it inside the data.
#[derive(Debug, Default)]
pub(super) struct Events {
    lines: Lines,
    data: Option<String>,
}

impl Events {
    /// Takes bytes and gives back the data of each event that they completed.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, AnswerError> {
        let mut events = Vec::new();
        for line in self.lines.feed(bytes)? {
            if line.is_empty() {
                events.extend(self.data.take());
                continue;
            }
            let Some(value) = line.strip_prefix("data:") else { continue };
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) if data.len() + value.len() >= STREAM_EVENT_BYTES => {
                    return Err(AnswerError::TooLong { limit: STREAM_EVENT_BYTES });
                }
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_with_either_line_end_comments_and_several_data_lines() {
        let mut events = Events::default();
        let got =
            events.feed(b": ping\r\nevent: x\r\ndata: a\r\ndata:b\r\n\r\n\n\ndata: c\n\ndata: unfinished").unwrap();
        assert_eq!(got, ["a\nb", "c"]);
    }

    #[test]
    fn a_line_at_the_bound_passes_and_one_above_does_not() {
        let mut line = vec![b'x'; STREAM_EVENT_BYTES];
        line.push(b'\n');
        assert_eq!(Lines::default().feed(&line).unwrap().len(), 1);
        line.insert(0, b'x');
        assert_eq!(Lines::default().feed(&line), Err(AnswerError::TooLong { limit: STREAM_EVENT_BYTES }));
    }

    #[test]
    fn an_answer_at_the_bound_passes_and_one_byte_more_does_not() {
        let mut block = vec![b'x'; STREAM_EVENT_BYTES - 1];
        block.push(b'\n');
        let mut lines = Lines::default();
        for _ in 0..ANSWER_BYTES / STREAM_EVENT_BYTES {
            lines.feed(&block).unwrap();
        }
        assert_eq!(lines.feed(b"x"), Err(AnswerError::TooLong { limit: ANSWER_BYTES }));
    }
}
