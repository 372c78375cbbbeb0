//! Makes an event's body fit. Events inform; what they leave out is in the journal.

use serde_json::{Map, Value, json};

/// Bytes of JSON that an event's body may have.
pub(crate) const BODY_BYTES: usize = 64 << 10;
/// Longest text that is tried first; halved until the whole fits. JSON may need six bytes for one.
const TEXT_BYTES: usize = 8 << 10;
/// Shortest text worth keeping.
const LEAST_TEXT_BYTES: usize = 16;

/// `body` as JSON of at most [`BODY_BYTES`]. One that is longer keeps the beginning of each of its texts and says `cut`;
/// one that is longer still keeps only that word.
pub(crate) fn body(body: Map<String, Value>) -> Vec<u8> {
    let mut value = Value::Object(body);
    let whole = value.to_string();
    if whole.len() <= BODY_BYTES {
        return whole.into_bytes();
    }
    let mut bytes = TEXT_BYTES;
    while bytes >= LEAST_TEXT_BYTES {
        shorten(&mut value, bytes);
        value["cut"] = true.into();
        let short = value.to_string();
        if short.len() <= BODY_BYTES {
            return short.into_bytes();
        }
        bytes /= 2;
    }
    json!({ "cut": true }).to_string().into_bytes()
}

fn shorten(value: &mut Value, bytes: usize) {
    match value {
        Value::String(text) if text.len() > bytes => {
            text.truncate(text.floor_char_boundary(bytes));
            text.push('…');
        }
        Value::Array(items) => items.iter_mut().for_each(|item| shorten(item, bytes)),
        Value::Object(members) => members.values_mut().for_each(|member| shorten(member, bytes)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trimmed(value: Value) -> Value {
        let Value::Object(map) = value else { panic!("an object") };
        let bytes = body(map);
        assert!(bytes.len() <= BODY_BYTES);
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn a_body_at_the_bound_is_whole_and_one_byte_more_is_cut() {
        let at = |bytes: usize| json!({ "a": "x".repeat(bytes - r#"{"a":""}"#.len()) });
        assert_eq!(trimmed(at(BODY_BYTES)), at(BODY_BYTES));
        let cut = trimmed(at(BODY_BYTES + 1));
        assert_eq!(cut["cut"], true);
        assert_eq!(cut["a"].as_str().unwrap().len(), TEXT_BYTES + '…'.len_utf8());
    }

    #[test]
    fn many_texts_share_the_room_and_too_many_values_leave_the_word() {
        let many = trimmed(json!({ "args": vec!["é".repeat(9000); 40] }));
        let kept = many["args"][39].as_str().unwrap();
        assert!(kept.len() > 100 && kept.starts_with('é') && many["cut"] == true, "{kept}");
        assert_eq!(trimmed(json!({ "args": vec![0; BODY_BYTES] })), json!({ "cut": true }));
    }
}
