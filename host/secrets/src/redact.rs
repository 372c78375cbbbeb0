//! Taking known secrets out of what is written.

mod forms;
mod stream;

use std::borrow::Cow;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use zeroize::Zeroizing;

use crate::value::SecretValue;
pub use stream::RedactStream;

/// What stands in the place of a secret. Safe inside JSON strings, URLs and header values.
pub const REDACTED: &str = "[redacted]";

/// Shortest value that is looked for, in bytes. A shorter one would be found in ordinary words and tear them apart.
pub const MIN_VALUE: usize = 4;

/// Finds the secrets that this process knows, in each form that sinks give them: raw, base64 (both alphabets, at each of
/// the three offsets inside a longer text, as in `Basic user:key`), URL-encoded and JSON-escaped.
///
/// Cheap to clone. Put it before every sink: logs, events, error texts, response bodies.
#[derive(Clone, Default)]
pub struct Redactor(Option<Arc<Known>>);

struct Known {
    automaton: AhoCorasick,
    /// Every form, for the tails of streams.
    forms: Vec<Zeroizing<Vec<u8>>>,
    longest: usize,
}

impl Redactor {
    /// A redactor for these values. Values below [`MIN_VALUE`] bytes are not looked for.
    ///
    /// # Panics
    /// When the forms of the given values together exceed 2^31 bytes, which needs more than 10,000 values.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a SecretValue>) -> Self {
        let forms = forms::of(values.into_iter().map(SecretValue::expose).filter(|text| text.len() >= MIN_VALUE));
        if forms.is_empty() {
            return Redactor(None);
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(forms.iter().map(|form| form.as_slice()))
            .expect("values are bounded by MAX_VALUE");
        let longest = forms.iter().map(|form| form.len()).max().unwrap_or(0);
        Redactor(Some(Arc::new(Known { automaton, forms, longest })))
    }

    /// The bytes without the secrets; borrowed when there were none.
    #[must_use]
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(known) = &self.0 else { return Cow::Borrowed(bytes) };
        let mut out = Vec::new();
        let mut done = 0;
        for found in known.automaton.find_iter(bytes) {
            out.extend_from_slice(&bytes[done..found.start()]);
            out.extend_from_slice(REDACTED.as_bytes());
            done = found.end();
        }
        if done == 0 {
            return Cow::Borrowed(bytes);
        }
        out.extend_from_slice(&bytes[done..]);
        Cow::Owned(out)
    }

    /// The text without the secrets; borrowed when there were none.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Forms are valid UTF-8 and so is the mark; a cut inside a character would need a form that starts inside one.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// For a sink that gets its bytes in pieces: a secret cut by a chunk border is found too.
    #[must_use]
    pub fn stream(&self) -> RedactStream {
        RedactStream::new(self.clone())
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} forms)", self.0.as_ref().map_or(0, |known| known.forms.len()))
    }
}

#[cfg(test)]
mod tests;
