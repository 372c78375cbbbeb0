//! When long work ends early.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// When a verb that may take long gives up: a flag that the caller raises, a moment, both or neither.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stop<'a> {
    /// Raised by the caller, from any thread, to end the work.
    pub cancel: Option<&'a AtomicBool>,
    /// The moment after which the work ends.
    pub deadline: Option<Instant>,
}

/// Why work ended before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The caller raised the flag.
    Cancelled,
    /// The deadline passed.
    Deadline,
}

impl Stopped {
    /// The name in records: `cancelled`, `deadline`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stopped::Cancelled => "cancelled",
            Stopped::Deadline => "deadline",
        }
    }
}

impl Stop<'_> {
    /// Whether to end now, and why. Cancelling wins.
    #[must_use]
    pub fn now(&self) -> Option<Stopped> {
        if self.cancel.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Some(Stopped::Cancelled);
        }
        self.deadline.is_some_and(|at| Instant::now() >= at).then_some(Stopped::Deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_for_the_flag_first_then_for_the_clock() {
        let (up, down) = (AtomicBool::new(true), AtomicBool::new(false));
        let past = Some(Instant::now());
        for (cancel, deadline, want) in [
            (None, None, None),
            (Some(&down), None, None),
            (Some(&down), past, Some(Stopped::Deadline)),
            (Some(&up), past, Some(Stopped::Cancelled)),
            (Some(&up), None, Some(Stopped::Cancelled)),
        ] {
            assert_eq!(Stop { cancel, deadline }.now(), want);
        }
    }
}
