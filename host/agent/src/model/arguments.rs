//! What a model sent as a call's arguments.

use serde_json::{Map, Value, json};

/// Key under which raw text stands in a stored message when it was no JSON object. Providers take only objects back, and
/// this one shows the model what it wrote.
const MALFORMED: &str = "malformed_arguments";

/// Arguments of a call: an object, or text that is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Arguments {
    /// As every tool takes them.
    Object(Map<String, Value>),
    /// The raw text; told to the model as an error.
    Malformed(String),
}

impl Arguments {
    /// Reads what a stream gave. No text at all is a call without arguments.
    pub(crate) fn parse(text: &str) -> Self {
        if text.trim().is_empty() {
            return Arguments::Object(Map::new());
        }
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Arguments::Object(map),
            _ => Arguments::Malformed(text.to_owned()),
        }
    }

    /// Reads what [`Arguments::stored`] wrote.
    pub(crate) fn from_stored(value: &Value) -> Self {
        match value {
            Value::Object(map) => match (map.len(), map.get(MALFORMED)) {
                (1, Some(Value::String(raw))) => Arguments::Malformed(raw.clone()),
                _ => Arguments::Object(map.clone()),
            },
            Value::Null => Arguments::Object(Map::new()),
            other => Arguments::Malformed(other.to_string()),
        }
    }

    /// The object that stands in a stored message.
    pub(crate) fn stored(&self) -> Value {
        match self {
            Arguments::Object(map) => Value::Object(map.clone()),
            Arguments::Malformed(raw) => json!({ MALFORMED: raw }),
        }
    }

    /// As journal and events show them: the object, or the raw text as a string.
    #[must_use]
    pub fn shown(&self) -> Value {
        match self {
            Arguments::Object(map) => Value::Object(map.clone()),
            Arguments::Malformed(raw) => Value::String(raw.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_reads_back_the_same() {
        for text in ["", " ", "{}", r#"{"a":1}"#, r#"{"a":"#, "[1]", "\"x\"", "1", "nonsense"] {
            let args = Arguments::parse(text);
            assert_eq!(Arguments::from_stored(&args.stored()), args, "{text}");
            assert!(args.stored().is_object(), "{text}");
        }
    }

    #[test]
    fn only_an_object_is_well_formed() {
        assert!(matches!(Arguments::parse(r#"{"a":1}"#), Arguments::Object(_)));
        assert!(matches!(Arguments::parse("[1]"), Arguments::Malformed(_)));
        assert!(matches!(Arguments::from_stored(&json!([1])), Arguments::Malformed(_)));
        assert!(matches!(Arguments::from_stored(&Value::Null), Arguments::Object(_)));
    }
}
