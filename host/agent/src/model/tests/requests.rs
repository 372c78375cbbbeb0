//! What each wire sends.

use super::*;

const PROTOCOLS: [Protocol; 3] = [Protocol::Anthropic, Protocol::OpenAi, Protocol::Ollama];

fn tools() -> Vec<ToolSpec> {
    ["ls", "read_file"]
        .map(|name| ToolSpec {
            name: name.to_owned(),
            description: format!("does {name}"),
            input_schema: json!({ "type": "object", "properties": { "path": { "type": "string" } } }),
        })
        .to_vec()
}

fn steps(protocol: Protocol, count: u32) -> Vec<Step> {
    let fixture =
        FIXTURES.iter().find(|fixture| fixture.protocol == protocol && fixture.name.contains("tools")).unwrap();
    let wire = protocol.wire();
    (1..=count)
        .map(|turn| {
            let Answer { message, stop, .. } = (fixture.answer)();
            let results = results(wire.as_ref(), &message, turn);
            Step { turn, message, stop, results, note: (turn == 2).then(|| "a note".to_owned()) }
        })
        .collect()
}

fn body(protocol: Protocol, tools: &[ToolSpec], steps: &[Step]) -> String {
    let round = Round { message: "hello".to_owned(), steps: steps.to_vec() };
    let prompt = Prompt { model: "m", system: "s", tools, earlier: &[], round: &round };
    String::from_utf8(protocol.wire().body(&prompt)).unwrap()
}

const MARK: &str = r#","cache_control":{"type":"ephemeral"}"#;

#[test]
fn each_request_begins_with_the_one_before() {
    for protocol in PROTOCOLS {
        for turns in 0..4 {
            let shorter = body(protocol, &tools(), &steps(protocol, turns)).replace(MARK, "");
            let longer = body(protocol, &tools(), &steps(protocol, turns + 1)).replace(MARK, "");
            let prefix = shorter.strip_suffix("]}").unwrap();
            assert!(longer.starts_with(prefix), "{protocol:?} {turns}\n{prefix}\n{longer}");
        }
    }
}

#[test]
fn equal_prompts_give_equal_bytes() {
    for protocol in PROTOCOLS {
        assert_eq!(body(protocol, &tools(), &steps(protocol, 3)), body(protocol, &tools(), &steps(protocol, 3)));
    }
}

#[test]
fn the_provider_s_own_message_goes_back_as_it_came() {
    for protocol in PROTOCOLS {
        let steps = steps(protocol, 2);
        let sent: Value = serde_json::from_str(&body(protocol, &tools(), &steps)).unwrap();
        let back: Vec<&Value> =
            sent["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "assistant").collect();
        assert_eq!(back, steps.iter().map(|step| &step.message).collect::<Vec<_>>(), "{protocol:?}");
    }
}

#[test]
fn anthropic_marks_tools_system_and_the_last_two_messages_and_never_more_than_four() {
    for turns in 0..5 {
        let text = body(Protocol::Anthropic, &tools(), &steps(Protocol::Anthropic, turns));
        assert_eq!(text.matches("cache_control").count(), if turns == 0 { 3 } else { 4 }, "{text}");
        let sent: Value = serde_json::from_str(&text).unwrap();
        assert!(sent["tools"][1].get("cache_control").is_some());
        assert!(sent["tools"][0].get("cache_control").is_none());
        assert!(sent["system"][0].get("cache_control").is_some());
        let last = sent["messages"].as_array().unwrap().last().unwrap();
        assert!(last["content"].as_array().unwrap().last().unwrap().get("cache_control").is_some());
    }
    for protocol in [Protocol::OpenAi, Protocol::Ollama] {
        assert!(!body(protocol, &tools(), &steps(protocol, 3)).contains("cache_control"));
    }
}

#[test]
fn results_name_their_calls() {
    let sent: Value =
        serde_json::from_str(&body(Protocol::Anthropic, &tools(), &steps(Protocol::Anthropic, 2))).unwrap();
    let last = &sent["messages"][4]["content"];
    assert_eq!(last[0], json!({ "type": "tool_result", "tool_use_id": "toolu_01T1", "content": "result 0" }));
    assert_eq!(last[1]["is_error"], true);
    assert_eq!(last[2]["text"], "a note");

    let sent: Value = serde_json::from_str(&body(Protocol::OpenAi, &tools(), &steps(Protocol::OpenAi, 2))).unwrap();
    let messages = sent["messages"].as_array().unwrap();
    assert_eq!(messages[3], json!({ "role": "tool", "tool_call_id": "call_DdmO9pD3", "content": "result 0" }));
    assert_eq!(*messages.last().unwrap(), json!({ "role": "user", "content": "a note" }));

    let sent: Value = serde_json::from_str(&body(Protocol::Ollama, &tools(), &steps(Protocol::Ollama, 1))).unwrap();
    assert_eq!(sent["messages"][3], json!({ "role": "tool", "tool_name": "read_file", "content": "result 0" }));
    assert_eq!(sent["options"]["num_ctx"], LOCAL_CONTEXT_TOKENS);
    assert_eq!((&sent["truncate"], &sent["shift"], &sent["keep_alive"]), (&json!(false), &json!(false), &json!("30m")));
}

#[test]
fn a_model_that_takes_tools_only_without_reasoning_is_asked_so_from_then_on() {
    const REFUSED: &[u8] = br#"{"error":{"message":"Function tools with reasoning_effort are not supported for m in /v1/chat/completions.","type":"invalid_request_error","param":"reasoning_effort","code":null}}"#;
    let round = Round { message: "hello".to_owned(), steps: vec![] };
    let tools = tools();
    let prompt = Prompt { model: "m", system: "s", tools: &tools, earlier: &[], round: &round };
    let wire = Protocol::OpenAi.wire();
    let first = wire.body(&prompt);
    assert!(!String::from_utf8_lossy(&first).contains("reasoning_effort"), "compatible servers may not know the field");
    assert_eq!(wire.amended(429, REFUSED, &first), None);
    assert_eq!(wire.amended(400, br#"{"error":{"message":"m","param":"messages"}}"#, &first), None);
    let amended: Value = serde_json::from_slice(&wire.amended(400, REFUSED, &first).unwrap()).unwrap();
    let mut expected: Value = serde_json::from_slice(&first).unwrap();
    expected["reasoning_effort"] = json!("none");
    assert_eq!(amended, expected);
    let second = wire.body(&prompt);
    assert_eq!(serde_json::from_slice::<Value>(&second).unwrap(), expected);
    assert_eq!(wire.amended(400, REFUSED, &second), None, "only once");
    for protocol in [Protocol::Anthropic, Protocol::Ollama] {
        let wire = protocol.wire();
        assert_eq!(wire.amended(400, REFUSED, &wire.body(&prompt)), None);
    }
}

#[test]
fn without_tools_none_are_named() {
    for protocol in PROTOCOLS {
        assert!(!body(protocol, &[], &[]).contains("tools"), "{protocol:?}");
        assert!(body(protocol, &tools(), &[]).contains("tools"), "{protocol:?}");
    }
}

#[test]
fn no_request_carries_a_key() {
    for protocol in PROTOCOLS {
        let names: Vec<String> = protocol.wire().headers().into_iter().map(|(name, _)| name).collect();
        assert!(
            names.iter().all(|name| ["content-type", "accept", "anthropic-version"].contains(&name.as_str())),
            "{names:?}"
        );
    }
}
