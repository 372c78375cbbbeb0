//! Holding results against expectations.

use serde_json::Value;

use super::document::{Check, Turn};
use super::failure::{Difference, ScriptFailure};
use super::request::ToolResult;

/// Every text of `sees` within the conversation, each behind the one before it.
pub(super) fn sees(number: usize, turn: &Turn, texts: &[String]) -> Result<(), ScriptFailure> {
    let (mut at, mut from) = (0, 0);
    for wanted in &turn.sees {
        loop {
            let Some(text) = texts.get(at) else {
                return Err(ScriptFailure::Unseen { turn: number, text: wanted.clone() });
            };
            if let Some(found) = text[from..].find(wanted.as_str()) {
                from += found + wanted.len();
                break;
            }
            (at, from) = (at + 1, 0);
        }
    }
    Ok(())
}

/// Every expectation of `turn` against the results that came before it; the first one that is not met is the failure.
pub(super) fn results(number: usize, turn: &Turn, results: &[ToolResult]) -> Result<(), ScriptFailure> {
    if let Some(unknown) = results.iter().find(|result| turn.expects.iter().all(|it| it.id != result.id)) {
        return Err(ScriptFailure::Unknown { turn: number, call: unknown.id.clone() });
    }
    for expect in &turn.expects {
        let (call, tool) = (expect.id.clone(), expect.tool.clone());
        let Some(result) = results.iter().find(|result| result.id == expect.id) else {
            return Err(ScriptFailure::Missing { turn: number, call, tool });
        };
        let unmet = |difference| ScriptFailure::Unmet {
            turn: number,
            call: call.clone(),
            tool: tool.clone(),
            difference: Box::new(difference),
        };
        if expect.is_error != result.is_error {
            let as_words = |error| if error { "an error" } else { "no error" };
            let got = format!("{}: {}", as_words(result.is_error), result.text);
            return Err(unmet(Difference::new("is_error", as_words(expect.is_error), &got)));
        }
        for check in &expect.checks {
            one(check, &result.text).map_err(unmet)?;
        }
    }
    Ok(())
}

fn one(check: &Check, text: &str) -> Result<(), Difference> {
    let differs = |what: &str, expected: &str| Err(Difference::new(what, expected, text));
    match check {
        Check::Equals(expected) if text != expected => differs("equals", expected),
        Check::Contains(expected) if !text.contains(expected.as_str()) => differs("contains", expected),
        Check::Matches(pattern) if !pattern.is_match(text) => differs("matches", pattern.as_str()),
        Check::Json { pointer, value } => {
            let what = format!("json {pointer}");
            let Ok(whole) = serde_json::from_str::<Value>(text) else {
                return differs(&what, &value.to_string());
            };
            match whole.pointer(pointer) {
                Some(found) if same(found, value) => Ok(()),
                Some(found) => Err(Difference::new(&what, &value.to_string(), &found.to_string())),
                None => Err(Difference::new(&what, &value.to_string(), &format!("nothing there in {text}"))),
            }
        }
        _ => Ok(()),
    }
}

/// Equal as values: `3` and `3.0` are, since tools and scripts write numbers differently.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || (a.as_f64().is_some() && a.as_f64() == b.as_f64()),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}
