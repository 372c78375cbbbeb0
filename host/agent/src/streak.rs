//! Notices a model that makes the same call over and over.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::limits::{LOOP_END, LOOP_WARN};
use crate::model::Arguments;

/// What the model is told when it repeats itself.
pub const LOOP_WARNING: &str = "You have made the same call with the same arguments several times running, and the \
result was the same each time. Making it again will not change that. Try another way, or say what is missing.";

/// Counts equal calls with equal results, running.
#[derive(Debug, Default)]
pub(crate) struct Streak {
    last: Option<[u8; 32]>,
    times: u32,
}

/// What follows from a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repetition {
    /// Nothing.
    Fine,
    /// The model is warned.
    Warn,
    /// The execution ends.
    End(u32),
}

impl Streak {
    /// Takes the next call in call order. `result` is [`digest`] of what it came to; `None` when that is no longer
    /// known, which breaks the streak.
    pub(crate) fn count(&mut self, tool: &str, args: &Arguments, result: Option<[u8; 32]>) -> Repetition {
        let Some(result) = result else {
            *self = Streak::default();
            return Repetition::Fine;
        };
        let mut hash = Sha256::new();
        for part in [tool.as_bytes(), canonical(&args.shown()).as_bytes(), &result] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let call: [u8; 32] = hash.finalize().into();
        self.times = if self.last == Some(call) { self.times + 1 } else { 1 };
        self.last = Some(call);
        match self.times {
            times if times >= LOOP_END => Repetition::End(times),
            times if times >= LOOP_WARN => Repetition::Warn,
            _ => Repetition::Fine,
        }
    }
}

/// Digest of a result, before anything is cut from it.
pub(crate) fn digest(whole: &[u8], is_error: bool) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update([u8::from(is_error)]);
    hash.update(whole);
    hash.finalize().into()
}

/// JSON with the keys of every object sorted and no white space: equal values give equal bytes.
pub(crate) fn canonical(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let mut fields: Vec<_> = map.iter().collect();
                fields.sort_unstable_by_key(|(key, _)| key.as_str());
                Value::Object(fields.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Arguments {
        Arguments::parse(text)
    }

    #[test]
    fn warns_from_the_third_and_ends_at_the_sixth() {
        let mut streak = Streak::default();
        let seen: Vec<_> = (0..6).map(|_| streak.count("ls", &args("{}"), Some(digest(b"x", false)))).collect();
        use Repetition::{End, Fine, Warn};
        assert_eq!(seen, [Fine, Fine, Warn, Warn, Warn, End(6)]);
    }

    #[test]
    fn another_tool_argument_result_or_outcome_breaks_the_streak() {
        let base = ("ls", r#"{"a":1}"#, Some(digest(b"x", false)));
        let others = [
            ("glob", base.1, base.2),
            ("ls", r#"{"a":2}"#, base.2),
            ("ls", base.1, Some(digest(b"y", false))),
            ("ls", base.1, Some(digest(b"x", true))),
            ("ls", base.1, None),
        ];
        for other in others {
            let mut streak = Streak::default();
            for call in [base, base, other, base, base] {
                assert_eq!(streak.count(call.0, &args(call.1), call.2), Repetition::Fine, "{other:?}");
            }
            assert_eq!(streak.count(base.0, &args(base.1), base.2), Repetition::Warn);
        }
    }

    #[test]
    fn the_order_of_keys_and_white_space_do_not_matter() {
        let mut streak = Streak::default();
        for text in [r#"{"a":1,"b":{"c":2,"d":[3]}}"#, r#"{ "b": {"d":[3], "c":2}, "a": 1 }"#] {
            assert_eq!(streak.count("ls", &args(text), Some(digest(b"", false))), Repetition::Fine);
        }
        assert_eq!(
            streak.count("ls", &args(r#"{"b":{"c":2,"d":[3]},"a":1}"#), Some(digest(b"", false))),
            Repetition::Warn
        );
    }
}
