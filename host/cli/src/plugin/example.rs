//! What a tool takes, in words, and a call of it that a person can paste and change.

use serde_json::{Map, Value, json};

/// Levels of lists and objects that an example goes into; a schema has a component's author for its author.
const DEPTH: usize = 8;

/// One line per argument: name, type, whether it may be left out, what the author says of it.
pub(super) fn arguments(schema: &Value) -> Vec<String> {
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let lines = properties.iter().map(|(name, property)| {
        let left_out = if is_required(schema, name) { "" } else { ", may be left out" };
        let about = property["description"].as_str().or_else(|| kind(property)["description"].as_str());
        let about = about.and_then(|text| text.lines().next()).map(|text| format!(": {text}")).unwrap_or_default();
        format!("{name} ({}{left_out}){about}", words(property, 0))
    });
    lines.collect()
}

/// Arguments that the schema accepts as far as a schema can say: what must be there, nothing else.
pub(super) fn example(schema: &Value) -> Value {
    value("", schema, 0)
}

/// The text for a POSIX shell, as one word.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|names| names.iter().any(|it| it == name))
}

/// The schema itself, or the first alternative that is one: an option's value, a number rather than its text.
fn kind(schema: &Value) -> &Value {
    ["anyOf", "oneOf"].iter().find_map(|key| schema[*key].as_array()?.first()).map_or(schema, |first| {
        // An option of an option begins with `null`; there the second says more, and `null` is a good example.
        if schema["type"].is_null() { first } else { schema }
    })
}

/// The type in words.
fn words(schema: &Value, depth: usize) -> String {
    if depth >= DEPTH {
        return "value".to_owned();
    }
    if let Some(cases) = schema["oneOf"].as_array() {
        return format!("one of {}", cases.iter().map(|it| case(it, depth)).collect::<Vec<_>>().join(", "));
    }
    if schema["anyOf"].is_array() {
        return words(kind(schema), depth + 1);
    }
    if let Some(names) = schema["enum"].as_array() {
        return format!("one of {}", names.iter().map(Value::to_string).collect::<Vec<_>>().join(", "));
    }
    match schema["type"].as_str().unwrap_or_default() {
        "string" if schema["contentEncoding"] == "base64" => "bytes as base64 text".to_owned(),
        "string" if schema["maxLength"] == 1 => "one character".to_owned(),
        "string" => "text".to_owned(),
        "boolean" => "true or false".to_owned(),
        "integer" => match (&schema["minimum"], &schema["maximum"]) {
            (Value::Number(least), Value::Number(most)) => format!("integer from {least} to {most}"),
            _ => "integer".to_owned(),
        },
        "array" if schema["items"].is_object() => format!("list of {}", words(&schema["items"], depth + 1)),
        "array" => {
            let items = schema["prefixItems"].as_array().into_iter().flatten();
            format!("list of {}", items.map(|it| words(it, depth + 1)).collect::<Vec<_>>().join(" and "))
        }
        "object" => match schema["properties"].as_object() {
            Some(fields) => {
                let mark = |name: &String| if is_required(schema, name) { name.clone() } else { format!("{name}?") };
                format!("object of {}", fields.keys().map(mark).collect::<Vec<_>>().join(", "))
            }
            None => format!("object whose values are {}", words(&schema["additionalProperties"], depth + 1)),
        },
        other => other.to_owned(),
    }
}

/// A case of a variant: its name, or an object with the name as its key.
fn case(schema: &Value, depth: usize) -> String {
    let payload = schema["properties"].as_object().and_then(|fields| fields.iter().next());
    match payload {
        Some((name, inner)) => format!("{{{name:?}: {}}}", words(inner, depth + 1)),
        None => schema["const"].to_string(),
    }
}

fn value(name: &str, schema: &Value, depth: usize) -> Value {
    if depth >= DEPTH {
        return Value::Null;
    }
    if !schema["const"].is_null() {
        return schema["const"].clone();
    }
    if let Some(first) = schema["enum"].as_array().and_then(|names| names.first()) {
        return first.clone();
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(first) = schema[key].as_array().and_then(|cases| cases.first()) {
            return value(name, first, depth + 1);
        }
    }
    match schema["type"].as_str().unwrap_or_default() {
        "string" if schema["contentEncoding"] == "base64" => json!("aGVsbG8="),
        "string" if schema["maxLength"] == 1 => json!("a"),
        "string" if ["path", "file"].iter().any(|word| name.contains(word)) => json!("FOLDER/FILE"),
        "string" => json!("text"),
        "boolean" => json!(true),
        "integer" if schema["minimum"].as_i64().is_none_or(|least| least <= 1) => json!(1),
        "integer" => schema["minimum"].clone(),
        "number" => json!(1.5),
        "array" => match schema["prefixItems"].as_array() {
            Some(items) => items.iter().map(|item| value(name, item, depth + 1)).collect(),
            // Lists may be empty unless their length is fixed; the bound keeps a long one from filling the screen.
            None => (0..schema["minItems"].as_u64().unwrap_or(0).min(16))
                .map(|_| value(name, &schema["items"], depth + 1))
                .collect(),
        },
        "object" => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            let needed = fields.filter(|(name, _)| is_required(schema, name));
            Value::Object(
                needed.map(|(name, inner)| (name.clone(), value(name, inner, depth + 1))).collect::<Map<_, _>>(),
            )
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_arguments_are_and_which_may_be_left_out() {
        let schema = json!({"type": "object", "required": ["path", "how", "big"], "properties": {
            "path": {"type": "string", "description": "A file.\nMore."},
            "limit": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 255}, {"type": "null"}]},
            "big": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "how": {"oneOf": [{"const": "fast"}, {"type": "object", "properties": {"in": {"type": "boolean"}}}]},
            "where": {"anyOf": [{"type": "object", "required": ["x"], "description": "A place.", "properties": {
                "x": {"type": "array", "items": {"type": "string"}}, "y": {"type": "boolean"}}}, {"type": "null"}]},
        }});
        let mut lines = arguments(&schema);
        lines.sort();
        assert_eq!(
            lines,
            [
                "big (integer)",
                "how (one of \"fast\", {\"in\": true or false})",
                "limit (integer from 0 to 255, may be left out)",
                "path (text): A file.",
                "where (object of x, y?, may be left out): A place.",
            ]
        );
        assert_eq!(example(&schema), json!({"big": 1, "how": "fast", "path": "FOLDER/FILE"}));
        assert_eq!((arguments(&json!({})), example(&json!({"type": "object"}))), (vec![], json!({})));
    }

    #[test]
    fn a_schema_without_end_gives_an_example_that_ends() {
        let mut schema = json!({"type": "string"});
        for _ in 0..100 {
            schema = json!({"type": "object", "required": ["a"], "properties": {"a": schema}});
        }
        assert!(example(&schema).to_string().len() < 100 && arguments(&schema).len() == 1);
    }

    #[test]
    fn quotes_make_one_word_of_a_shell() {
        assert_eq!(quoted("it's {\"a\": \"$HOME `b`\"}"), r#"'it'\''s {"a": "$HOME `b`"}'"#);
    }
}
