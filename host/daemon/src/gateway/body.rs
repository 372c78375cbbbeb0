//! The one field of a request's body that the gateway reads.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// The `model` of a request. There is exactly one: of two, the gateway could read one and the provider the other.
pub(super) struct ModelField(pub(super) String);

impl<'de> Deserialize<'de> for ModelField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = ModelField;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a `model`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ModelField, A::Error> {
        let mut model = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == "model" {
                if model.replace(map.next_value::<String>()?).is_some() {
                    return Err(A::Error::duplicate_field("model"));
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        model.map(ModelField).ok_or_else(|| A::Error::missing_field("model"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_model_and_no_other() {
        let read = |text: &str| serde_json::from_str::<ModelField>(text).map(|it| it.0).ok();
        assert_eq!(read(r#"{"messages": [{"model": "x"}], "model": "m"}"#).as_deref(), Some("m"));
        for bad in [
            r#"{"model":"a","model":"m"}"#,
            r#"{"mod\u0065l":"a","model":"m"}"#,
            "{}",
            "[]",
            r#"{"model":1}"#,
            r#"{"model":"m"} x"#,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
