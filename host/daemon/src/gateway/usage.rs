//! Counting tokens in a response that passes by.

use serde::Deserialize;

use super::budget::Spent;

/// Longest line that is read, in bytes. A longer one passes unread; usage stands in short ones.
const LINE: usize = 1 << 20;

/// Largest response without a stream that is read, in bytes.
const WHOLE: usize = 8 << 20;

/// Bytes that are taken for one token where the provider does not say.
const BYTES_PER_TOKEN: u64 = 4;

/// Reads usage from a response's bytes, split anywhere: events (`data: {…}`), lines of JSON, or one JSON text.
#[derive(Debug)]
pub(super) struct Meter {
    streamed: bool,
    request_bytes: u64,
    response_bytes: u64,
    buffer: Vec<u8>,
    /// The rest of a line that is too long.
    skipping: bool,
    seen: Option<Spent>,
    failed: bool,
}

/// What any of the wires may say; everything else is passed over.
#[derive(Deserialize)]
struct Line {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
    #[serde(default)]
    eval_count: Option<u64>,
}

/// Anthropic's `message_start` carries the message; Ollama's `message` has no usage.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    cache_write_tokens: Option<u64>,
}

impl Meter {
    /// `streamed`: the response comes line by line (by its content type).
    pub(super) fn new(streamed: bool, request_bytes: usize) -> Self {
        let request_bytes = request_bytes as u64;
        let (buffer, seen) = (Vec::new(), None);
        Meter { streamed, request_bytes, response_bytes: 0, buffer, skipping: false, seen, failed: false }
    }

    /// Looks at the next piece.
    pub(super) fn look(&mut self, piece: &[u8]) {
        self.response_bytes += piece.len() as u64;
        if !self.streamed {
            let room = WHOLE.saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(&piece[..piece.len().min(room)]);
            return;
        }
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let ends = part.ends_with(b"\n");
            if !self.skipping {
                self.buffer.extend_from_slice(part);
                if self.buffer.len() > LINE {
                    self.buffer.clear();
                    self.skipping = true;
                }
            }
            if ends {
                self.read();
                self.skipping = false;
            }
        }
    }

    /// What was used, once the response is over or given up.
    pub(super) fn finish(mut self) -> Spent {
        self.read();
        self.seen.unwrap_or(Spent {
            input: self.request_bytes / BYTES_PER_TOKEN,
            output: self.response_bytes.div_ceil(BYTES_PER_TOKEN),
            estimated: true,
            ..Spent::default()
        })
    }

    /// Whether the provider reported an error inside a response that began well.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    fn read(&mut self) {
        let line = std::mem::take(&mut self.buffer);
        let text = line.trim_ascii();
        let text = text.strip_prefix(b"data:").unwrap_or(text);
        // Comments, `event:` lines, `[DONE]`: not JSON objects, nothing to count.
        let Ok(line) = serde_json::from_slice::<Line>(text) else { return };
        self.failed |= line.kind.as_deref() == Some("error") || line.error.is_some();
        for usage in [line.message.and_then(|message| message.usage), line.usage].into_iter().flatten() {
            self.take(usage);
        }
        if line.eval_count.is_some() || line.prompt_eval_count.is_some() {
            let seen = self.seen.get_or_insert_default();
            seen.input = line.prompt_eval_count.unwrap_or(seen.input);
            seen.output = line.eval_count.unwrap_or(seen.output);
        }
    }

    /// Later numbers replace earlier ones: providers report running totals.
    fn take(&mut self, usage: Usage) {
        let seen = self.seen.get_or_insert_default();
        let details = usage.prompt_tokens_details;
        let cached = details.as_ref().and_then(|details| details.cached_tokens).unwrap_or(0);
        let written = details.and_then(|details| details.cache_write_tokens).unwrap_or(0);
        if let Some(prompt) = usage.prompt_tokens {
            // Both are parts of the prompt's count.
            seen.input = prompt.saturating_sub(cached).saturating_sub(written);
            (seen.cache_read, seen.cache_write) = (cached, written);
        }
        seen.output = usage.completion_tokens.or(usage.output_tokens).unwrap_or(seen.output);
        seen.input = usage.input_tokens.unwrap_or(seen.input);
        seen.cache_read = usage.cache_read_input_tokens.unwrap_or(seen.cache_read);
        seen.cache_write = usage.cache_creation_input_tokens.unwrap_or(seen.cache_write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANTHROPIC: &str = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":25,",
        "\"cache_creation_input_tokens\":7,\"cache_read_input_tokens\":3,\"output_tokens\":1}}}\n\n",
        ": ping\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"usage\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":15}}\r\n\r\n"
    );
    const OPENAI: &str = concat!(
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"usage\":null}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":4,",
        "\"prompt_tokens_details\":{\"cached_tokens\":10,\"cache_write_tokens\":5}}}\n\ndata: [DONE]\n\n"
    );
    const OLLAMA: &str = concat!(
        "{\"message\":{\"role\":\"assistant\",\"content\":\"x\"},\"done\":false}\n",
        "{\"message\":{\"content\":\"\"},\"done\":true,\"prompt_eval_count\":26,\"eval_count\":12}\n"
    );

    fn cases() -> [(&'static str, Spent); 3] {
        let spent = |input, cache_read, cache_write, output| Spent {
            input,
            cache_read,
            cache_write,
            output,
            ..Spent::default()
        };
        [(ANTHROPIC, spent(25, 3, 7, 15)), (OPENAI, spent(15, 10, 5, 4)), (OLLAMA, spent(26, 0, 0, 12))]
    }

    #[test]
    fn each_wire_split_at_every_byte() {
        for (text, want) in cases() {
            for cut in 0..=text.len() {
                let mut meter = Meter::new(true, 100);
                meter.look(&text.as_bytes()[..cut]);
                meter.look(&text.as_bytes()[cut..]);
                assert!(!meter.failed());
                assert_eq!(meter.finish(), want, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_response_in_one_piece_and_one_that_says_nothing() {
        let mut meter = Meter::new(false, 100);
        meter.look(b"{\n \"usage\": {\n \"input_tokens\": 5, \"output_tokens\": 6 } }");
        assert_eq!(meter.finish(), Spent { input: 5, output: 6, ..Spent::default() });
        let mut meter = Meter::new(true, 400);
        meter.look(b"data: {\"choices\":[]}\n");
        assert_eq!(meter.finish(), Spent { input: 100, output: 6, estimated: true, ..Spent::default() });
    }

    #[test]
    fn an_error_inside_and_a_line_without_end() {
        let mut meter = Meter::new(true, 0);
        meter.look(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n");
        assert!(meter.failed());
        let mut meter = Meter::new(true, 0);
        for _ in 0..40 {
            meter.look(&[b'x'; 64 << 10]);
            assert!(meter.buffer.len() <= LINE + (64 << 10));
        }
        meter.look(b"\ndata: {\"usage\":{\"output_tokens\":9}}\n");
        assert_eq!(meter.finish().output, 9);
    }
}
