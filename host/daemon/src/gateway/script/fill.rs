//! Placeholders: `${WORKSPACE}` is the execution's own folder. `$${` is a literal `${`; `${` before anything but a name
//! in capitals is itself (`${x:-y}` of a shell).

use std::collections::BTreeMap;

use serde_json::Value;

/// A placeholder without a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no `${{{name}}}`; there are {known}")]
pub struct FillError {
    name: String,
    known: String,
}

/// The text with its placeholders filled.
pub(super) fn text(text: &str, places: &BTreeMap<String, String>) -> Result<String, FillError> {
    fill(text, places, str::to_owned)
}

/// A regular expression with its placeholders filled, each matching itself.
pub(super) fn pattern(text: &str, places: &BTreeMap<String, String>) -> Result<String, FillError> {
    fill(text, places, regex::escape)
}

/// The value with the placeholders in its texts filled; keys stay as they are.
pub(super) fn value(value: Value, places: &BTreeMap<String, String>) -> Result<Value, FillError> {
    Ok(match value {
        Value::String(it) => Value::String(text(&it, places)?),
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|it| self::value(it, places)).collect::<Result<_, _>>()?)
        }
        Value::Object(map) => Value::Object(
            map.into_iter().map(|(key, it)| Ok((key, self::value(it, places)?))).collect::<Result<_, FillError>>()?,
        ),
        other => other,
    })
}

fn fill(text: &str, places: &BTreeMap<String, String>, put: fn(&str) -> String) -> Result<String, FillError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        let name = rest[at + 2..].split_once('}').map(|(name, _)| name).filter(|name| is_name(name));
        out.push_str(&rest[..at]);
        let Some(name) = name else {
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        };
        let known = || places.keys().map(|key| format!("`${{{key}}}`")).collect::<Vec<_>>().join(", ");
        let place = places.get(name).ok_or_else(|| FillError { name: name.to_owned(), known: known() })?;
        out.push_str(&put(place));
        rest = &rest[at + 3 + name.len()..];
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form() {
        let places = BTreeMap::from([("WORKSPACE".to_owned(), "/w.x".to_owned())]);
        for (from, want) in [
            ("${WORKSPACE}/a ${WORKSPACE}", "/w.x/a /w.x"),
            ("$${WORKSPACE} ${x:-y} $HOME ${", "${WORKSPACE} ${x:-y} $HOME ${"),
            ("ä$", "ä$"),
        ] {
            assert_eq!(text(from, &places).unwrap(), want);
        }
        assert_eq!(pattern("^${WORKSPACE}$", &places).unwrap(), "^/w\\.x$");
        let error = text("${NOPE}", &places).unwrap_err();
        assert_eq!(error.to_string(), "there is no `${NOPE}`; there are `${WORKSPACE}`");
    }
}
