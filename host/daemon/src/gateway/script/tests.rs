use serde_json::{Value, json};

use super::*;

const GOOD: &str = r#"
[[turn]]
text = "I will look at the data in ${WORKSPACE}."
[[turn.call]]
id = "profile"
tool = "table_profile"
args = { path = "${WORKSPACE}/a.csv", deep = { list = ["${WORKSPACE}"] } }
[[turn.call]]
tool = "execute"
args = { command = "echo $${HOME}" }

[[turn]]
text = "Done."
[[turn.expect]]
call = "profile"
json = { "/rows" = 3, "/name" = "a" }
[[turn.expect]]
call = "execute"
equals = "x"
contains = ["x"]
matches = "^x$"
"#;

fn places() -> BTreeMap<String, String> {
    BTreeMap::from([("WORKSPACE".to_owned(), "/w".to_owned())])
}

fn load(text: &str) -> Result<Script, ScriptError> {
    Script::parse(text, &places())
}

fn second(results: Value, stream: bool) -> Vec<u8> {
    let messages = json!([
        { "role": "user", "content": "go" },
        { "role": "assistant", "content": [{ "type": "text", "text": "…" }] },
        { "role": "user", "content": results },
    ]);
    json!({ "model": "m", "stream": stream, "messages": messages }).to_string().into_bytes()
}

fn result(id: &str, text: &str) -> Value {
    json!({ "type": "tool_result", "tool_use_id": id, "content": [{ "type": "text", "text": text }] })
}

const ROWS: &str = r#"{"rows": 3.0, "name": "a", "more": 1}"#;

fn joined(answer: Answer) -> String {
    answer.pieces.iter().map(|piece| std::str::from_utf8(piece).unwrap()).collect()
}

#[test]
fn the_first_turn_streams_text_and_calls() {
    let script = load(GOOD).unwrap();
    let body = json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "go" }] }).to_string();
    let text = joined(script.answer("m", body.as_bytes()).unwrap());
    let data: Vec<Value> =
        text.lines().filter_map(|line| Some(serde_json::from_str(line.strip_prefix("data: ")?).unwrap())).collect();
    assert_eq!(data[0]["type"], "message_start");
    let said: String = data.iter().filter_map(|it| it["delta"]["text"].as_str()).collect();
    assert_eq!(said, "I will look at the data in /w.");
    let args = |index: u64| -> Value {
        let parts = data.iter().filter(|it| it["index"] == index).filter_map(|it| it["delta"]["partial_json"].as_str());
        serde_json::from_str(&parts.collect::<String>()).unwrap()
    };
    assert_eq!(args(1), json!({ "path": "/w/a.csv", "deep": { "list": ["/w"] } }));
    assert_eq!(args(2), json!({ "command": "echo ${HOME}" }));
    let starts: Vec<_> = data.iter().filter(|it| it["type"] == "content_block_start").collect();
    assert_eq!(starts[2]["content_block"]["id"], "call_1_2");
    assert_eq!(data[data.len() - 2]["delta"]["stop_reason"], "tool_use");
    assert!(matches!(script.left(), Some(ScriptFailure::Left { left: 1, turns: 2, turn: 2, next }) if next == "Done."));
}

#[test]
fn the_second_turn_needs_each_result_as_expected() {
    let script = load(GOOD).unwrap();
    let good = second(json!([result("profile", ROWS), result("call_1_2", "x")]), false);
    let message: Value = serde_json::from_str(&joined(script.answer("m", &good).unwrap())).unwrap();
    assert_eq!((&message["content"][0]["text"], &message["stop_reason"]), (&json!("Done."), &json!("end_turn")));
    assert_eq!(script.left(), None);

    for (results, what) in [
        (json!([result("profile", r#"{"rows": 4, "name": "a"}"#), result("call_1_2", "x")]), "json /rows"),
        (json!([result("profile", "no json"), result("call_1_2", "x")]), "json /name"),
        (json!([result("profile", ROWS), result("call_1_2", "xy")]), "equals"),
    ] {
        let failure = script.answer("m", &second(results.clone(), true)).unwrap_err();
        assert!(
            matches!(&failure, ScriptFailure::Unmet { difference, turn: 2, .. } if difference.what == what),
            "{results} {failure}"
        );
        assert!(failure.to_string().contains("expected: ") && failure.to_string().contains("got: "));
    }
    let mut error = result("call_1_2", "x");
    error["is_error"] = json!(true);
    let failure = script.answer("m", &second(json!([result("profile", ROWS), error]), true)).unwrap_err();
    assert!(matches!(failure, ScriptFailure::Unmet { difference, .. } if difference.what == "is_error"));
    let failure = script.answer("m", &second(json!([result("profile", ROWS)]), true)).unwrap_err();
    assert!(matches!(failure, ScriptFailure::Missing { .. }));
    let more = json!([result("profile", ROWS), result("call_1_2", "x"), result("evil", "x")]);
    assert!(matches!(script.answer("m", &second(more, true)), Err(ScriptFailure::Unknown { .. })));
}

#[test]
fn each_kind_of_check_alone() {
    for (check, good, bad) in [
        ("equals = \"a b\"", "a b", "a b "),
        ("contains = \"b\"", "abc", "ac"),
        ("contains = [\"a\", \"${WORKSPACE}\"]", "a /w", "a"),
        ("matches = '^\\d+ rows$'", "12 rows", "x rows"),
        ("json = { \"\" = [1, 2] }", "[1, 2]", "[1]"),
        ("json = { \"/a/0\" = \"x\" }", "{\"a\":[\"x\"]}", "{\"a\":[]}"),
    ] {
        let text = format!(
            "[[turn]]\n[[turn.call]]\nid = \"c\"\ntool = \"t\"\n[[turn]]\ntext = \"ok\"\n[[turn.expect]]\ncall = \"c\"\n{check}"
        );
        let script = load(&text).unwrap();
        assert!(script.answer("m", &second(json!([result("c", good)]), true)).is_ok(), "{check}");
        assert!(script.answer("m", &second(json!([result("c", bad)]), true)).is_err(), "{check}");
    }
}

#[test]
fn an_end_that_is_passed_and_a_body_that_is_no_request() {
    let script = load("[[turn]]\ntext = \"hi\"").unwrap();
    assert!(matches!(script.answer("m", &second(json!([]), true)), Err(ScriptFailure::Ended { turns: 1 })));
    assert!(matches!(script.answer("m", b"{}"), Err(ScriptFailure::Request { .. })));
}

#[test]
fn what_a_turn_sees_is_in_the_conversation_and_in_that_order() {
    let body = json!({ "messages": [
        { "role": "user", "content": "first words" },
        { "role": "assistant", "content": [
            { "type": "text", "text": "I look" }, { "type": "tool_use", "id": "c", "name": "ls", "input": { "path": "/w" } },
        ] },
        { "role": "user", "content": [result("c", "a.csv")] },
        { "role": "assistant", "content": [{ "type": "text", "text": "One file" }] },
        { "role": "user", "content": "second words" },
    ] });
    let body = body.to_string().into_bytes();
    let all = r#"["first", "words", "I look", "ls {", "${WORKSPACE}", "a.csv", "One file", "second words"]"#;
    for (sees, fits) in [
        (all, true),
        (r#"["second words"]"#, true),
        (r#"["One file", "a.csv"]"#, false),
        (r#"["first", "first"]"#, false),
        (r#"["third"]"#, false),
    ] {
        let script = load(&format!("[[turn]]\ntext = \"x\"\nsees = {sees}")).unwrap().after(2, 0);
        assert_eq!(script.answer("m", &body).is_ok(), fits, "{sees}");
        assert_eq!(script.left().is_none(), fits);
    }
    let script = load("[[turn]]\ntext = \"x\"").unwrap().after(3, 0);
    assert!(matches!(script.answer("m", &body), Err(ScriptFailure::Request { .. })));
}

#[test]
fn what_former_runners_played_is_not_left() {
    assert_eq!(load(GOOD).unwrap().after(7, 2).left(), None);
    assert!(matches!(load(GOOD).unwrap().after(7, 0).left(), Some(ScriptFailure::Left { left: 2, turn: 1, .. })));
}

#[test]
fn scripts_that_are_refused() {
    const CALL: &str = "[[turn]]\n[[turn.call]]\nid = \"c\"\ntool = \"t\"\n";
    let after = |rest: &str| format!("{CALL}[[turn]]\ntext = \"x\"\n{rest}");
    for (text, want) in [
        (String::new(), "no turn"),
        ("[[turn]]\nsay = \"x\"".to_owned(), "cannot be read"),
        ("[[turn]]".to_owned(), "neither"),
        (CALL.to_owned(), "must follow"),
        (after(""), "nothing is expected of the result of call `c`"),
        (after("[[turn.expect]]\ncall = \"c\""), "has none of"),
        (after("[[turn.expect]]\ncall = \"c\"\nis_error = true"), "has none of"),
        (after("[[turn.expect]]\ncall = \"c\"\ncontains = \"\""), "has none of"),
        (after("[[turn.expect]]\ncall = \"d\"\nequals = \"\""), "has no call `d`"),
        (after("[[turn.expect]]\ncall = \"c\"\nmatches = \"(\""), "no regular expression"),
        (after("[[turn.expect]]\ncall = \"c\"\njson = { \"a\" = 1 }"), "no JSON pointer"),
        (after("[[turn.expect]]\ncall = \"c\"\nequals = \"${NOPE}\""), "no `${NOPE}`"),
        ("[[turn]]\ntext = \"x\"\nsees = [\"\"]".to_owned(), "looks at nothing"),
        (format!("{CALL}[[turn.call]]\nid = \"c\"\ntool = \"t\"\n"), "used twice"),
        ("x".repeat(SCRIPT_BYTES + 1), "longer"),
    ] {
        let error = load(&text).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(format!("{error}: {source}").contains(want), "{want}: {error}: {source}");
        assert!(error.hint().is_some());
    }
}
