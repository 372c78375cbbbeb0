//! When a request is sent again, and after what pause. Pure.

use std::time::Duration;

use crate::limits::{RETRY_AFTER, TRIES, WAITS};

/// A failure that may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passing {
    /// What went wrong, for a person.
    pub(crate) reason: String,
    /// Pause that the provider asked for.
    pub(crate) retry_after: Option<Duration>,
}

/// What to do after a failure that may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send again after this time.
    Wait(Duration),
    /// Report it; the text says why it is not tried again.
    GiveUp(String),
}

/// Whether this HTTP status may pass by itself.
pub(crate) fn passes(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 529)
}

/// Decides after try number `attempt` (from 1) failed. `jitter` is in `0.0..1.0` and adds up to a quarter to our own
/// pauses; a pause that the provider asked for is kept as it is.
pub(crate) fn next(failure: &Passing, attempt: u32, jitter: f64) -> Next {
    if attempt >= TRIES {
        return Next::GiveUp(format!("{} (after {attempt} tries)", failure.reason));
    }
    match failure.retry_after {
        Some(wait) if wait > RETRY_AFTER => Next::GiveUp(format!(
            "{} (it asks to wait {} s; no more than {} s are waited)",
            failure.reason,
            wait.as_secs(),
            RETRY_AFTER.as_secs()
        )),
        Some(wait) => Next::Wait(wait),
        None => Next::Wait(WAITS[attempt as usize - 1].mul_f64(1.0 + jitter / 4.0)),
    }
}

/// Reads a `retry-after` header in seconds. The other form, a date, counts as absent: no provider sends it, and the
/// machine's own clock would have to be right.
pub(crate) fn retry_after(value: Option<&str>) -> Option<Duration> {
    let seconds: f64 = value?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(retry_after: Option<u64>) -> Passing {
        Passing { reason: "status 429".to_owned(), retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn waits_double_and_jitter_adds_up_to_a_quarter() {
        for (attempt, seconds) in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0)] {
            assert_eq!(next(&failure(None), attempt, 0.0), Next::Wait(Duration::from_secs_f64(seconds)));
            assert_eq!(next(&failure(None), attempt, 0.5), Next::Wait(Duration::from_secs_f64(seconds * 1.125)));
        }
    }

    #[test]
    fn the_last_try_is_the_fifth() {
        assert!(matches!(next(&failure(None), TRIES - 1, 0.0), Next::Wait(_)));
        assert_eq!(next(&failure(None), TRIES, 0.0), Next::GiveUp("status 429 (after 5 tries)".to_owned()));
    }

    #[test]
    fn retry_after_is_obeyed_up_to_its_bound_and_reported_above() {
        assert_eq!(next(&failure(Some(30)), 1, 0.9), Next::Wait(Duration::from_secs(30)));
        assert!(matches!(next(&failure(Some(31)), 1, 0.0), Next::GiveUp(text) if text.contains("wait 31 s")));
    }

    #[test]
    fn retry_after_is_read_in_seconds_only() {
        assert_eq!(retry_after(Some(" 7 ")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(Some("0.5")), Some(Duration::from_millis(500)));
        for text in ["", "soon", "-1", "NaN", "inf", "Fri, 31 Dec 1999 23:59:59 GMT"] {
            assert_eq!(retry_after(Some(text)), None, "{text}");
        }
    }

    #[test]
    fn only_these_statuses_pass() {
        let passing: Vec<u16> = (100..600).filter(|status| passes(*status)).collect();
        assert_eq!(passing, [429, 500, 502, 503, 529]);
    }
}
