//! When a request is sent again, and after what pause. Pure.

use std::time::{Duration, SystemTime};

use crate::limits::{RETRY_AFTER, TRIES, WAITS};
use crate::transport::ModelResponse;

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

/// The pause that an answer asks for: `retry-after-ms` (milliseconds; not standard, but the SDKs of Anthropic and OpenAI read
/// it first), then `retry-after` as seconds or as a date (RFC 9110, 10.2.3). A date is counted from the answer's own `date`,
/// so that this machine's clock need not be right; `now` stands in where there is none. A date that is over means no pause.
///
/// The providers' `…ratelimit-…-reset` headers are not read: each names when one of several budgets is full again, and
/// `retry-after` is what both documents say to wait for.
pub(crate) fn pause(response: &ModelResponse, now: SystemTime) -> Option<Duration> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    if let Some(millis) = response.header("retry-after-ms").and_then(number) {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    let text = response.header("retry-after")?;
    if let Some(seconds) = number(text) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = |text: &str| httpdate::parse_http_date(text.trim()).ok();
    let until = date(text)?;
    let from = response.header("date").and_then(date).unwrap_or(now);
    Some(until.duration_since(from).unwrap_or_default())
}

/// Whether a status may pass, where the answer itself does not say (`x-should-retry`, which the providers' SDKs obey).
pub(crate) fn may_pass(response: &ModelResponse, body: &[u8]) -> bool {
    match response.header("x-should-retry") {
        Some("true") => true,
        Some("false") => false,
        _ => passes(response.status) && !is_spent(body),
    }
}

/// A 429 that says that money or a monthly bound is used up: waiting some seconds changes nothing.
fn is_spent(body: &[u8]) -> bool {
    const WORDS: &[&str] = &["insufficient_quota", "credit_balance_exhausted", "enforced_spend_limit_reached"];
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else { return false };
    let places = ["/error/code", "/error/type", "/error/details/error_code"];
    places.iter().filter_map(|place| body.pointer(place)?.as_str()).any(|word| WORDS.contains(&word))
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

    fn response(status: u16, headers: &[(&str, &str)]) -> ModelResponse {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ModelResponse { status, headers, body: futures::StreamExt::boxed(futures::stream::empty()) }
    }

    #[test]
    fn a_pause_is_read_as_seconds_milliseconds_or_a_date() {
        const DATE: &str = "Fri, 31 Dec 1999 23:59:59 GMT";
        let now = httpdate::parse_http_date(DATE).unwrap() - Duration::from_secs(9);
        for (headers, want) in [
            (&[("retry-after", " 7 ")][..], Some(Duration::from_secs(7))),
            (&[("retry-after", "0.5")], Some(Duration::from_millis(500))),
            (&[("retry-after-ms", "1500"), ("retry-after", "7")], Some(Duration::from_millis(1500))),
            (&[("retry-after-ms", "x"), ("retry-after", "7")], Some(Duration::from_secs(7))),
            (&[("retry-after", DATE)], Some(Duration::from_secs(9))),
            (&[("retry-after", DATE), ("date", "Fri, 31 Dec 1999 23:59:29 GMT")], Some(Duration::from_secs(30))),
            (&[("retry-after", "Fri, 31 Dec 1999 23:59:00 GMT")], Some(Duration::ZERO)),
            (&[], None),
        ] {
            assert_eq!(pause(&response(429, headers), now), want, "{headers:?}");
        }
        for text in ["", "soon", "-1", "NaN", "inf", "Fri, 99 Dec 1999 23:59:59 GMT"] {
            assert_eq!(pause(&response(429, &[("retry-after", text)]), now), None, "{text}");
        }
    }

    #[test]
    fn the_answer_s_own_word_on_trying_again_is_obeyed_and_spent_money_does_not_come_back() {
        let spent = br#"{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"m"}}"#;
        let spend_limit =
            br#"{"error":{"type":"rate_limit_error","details":{"error_code":"enforced_spend_limit_reached"}}}"#;
        let busy = br#"{"error":{"type":"rate_limit_error","message":"m"}}"#;
        for (status, headers, body, want) in [
            (429, &[][..], &busy[..], true),
            (429, &[], spent, false),
            (429, &[], spend_limit, false),
            (429, &[("x-should-retry", "false")], busy, false),
            (409, &[("x-should-retry", "true")], busy, true),
            (409, &[("x-should-retry", "maybe")], busy, false),
        ] {
            assert_eq!(may_pass(&response(status, headers), body), want, "{status} {headers:?}");
        }
    }

    #[test]
    fn only_these_statuses_pass() {
        let passing: Vec<u16> = (100..600).filter(|status| passes(*status)).collect();
        assert_eq!(passing, [429, 500, 502, 503, 529]);
    }
}
