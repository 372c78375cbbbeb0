//! Redacting a stream.

use zeroize::Zeroizing;

use super::{REDACTED, Redactor};

/// Redacts bytes that come in pieces. What might be the beginning of a secret is kept back until the next piece shows
/// whether it is one; everything else is handed on at once, so events are not delayed.
#[derive(Debug)]
pub struct RedactStream {
    redactor: Redactor,
    kept: Zeroizing<Vec<u8>>,
}

impl RedactStream {
    pub(super) fn new(redactor: Redactor) -> Self {
        RedactStream { redactor, kept: Zeroizing::default() }
    }

    /// Takes the next piece; gives what may be handed on. The result can be empty.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let Some(known) = self.redactor.0.clone() else { return piece.to_vec() };
        self.kept.extend_from_slice(piece);
        let mut out = Vec::with_capacity(self.kept.len());
        let mut done = 0;
        let mut hold = self.hold_from(0);
        for found in known.automaton.find_iter(&*self.kept) {
            // From `hold` on, the next piece can still turn this into a longer secret.
            if found.start() >= hold {
                break;
            }
            out.extend_from_slice(&self.kept[done..found.start()]);
            out.extend_from_slice(REDACTED.as_bytes());
            done = found.end();
            if done > hold {
                hold = self.hold_from(done);
            }
        }
        out.extend_from_slice(&self.kept[done..hold]);
        let rest = Zeroizing::new(self.kept.split_off(hold));
        self.kept = rest;
        out
    }

    /// Ends the stream; gives what was kept back.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.redactor.bytes(&self.kept).into_owned()
    }

    /// Where the longest tail of the kept bytes begins, at `from` or later, that is the true beginning of some form;
    /// the length when there is none.
    fn hold_from(&self, from: usize) -> usize {
        let Some(known) = &self.redactor.0 else { return self.kept.len() };
        let earliest = from.max(self.kept.len().saturating_sub(known.longest.saturating_sub(1)));
        (earliest..self.kept.len())
            .find(|&at| {
                let tail = &self.kept[at..];
                known.forms.iter().any(|form| form.len() > tail.len() && form.starts_with(tail))
            })
            .unwrap_or(self.kept.len())
    }
}
