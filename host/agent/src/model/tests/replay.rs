//! Streams that arrive split, cut, or with a failure inside.

use super::*;

/// Split points that each fixture is replayed at.
const SPLITS: usize = 2048;

fn decode(protocol: Protocol, chunks: &[&[u8]]) -> Result<(String, Answer), AnswerError> {
    let mut decoder = protocol.wire().decoder();
    let mut text = String::new();
    for chunk in chunks {
        text.push_str(&decoder.feed(chunk)?);
    }
    decoder.finish().map(|answer| (text, answer))
}

#[test]
fn each_fixture_gives_the_same_answer_at_every_split_point() {
    for fixture in FIXTURES {
        let expected = (fixture.answer)();
        let bytes = fixture.bytes();
        let text = fixture.protocol.wire().text(&expected.message);
        for at in 0..bytes.len().min(SPLITS) {
            let (head, tail) = bytes.split_at(at);
            let got = decode(fixture.protocol, &[head, tail]);
            assert_eq!(got, Ok((text.clone(), expected.clone())), "{} split at {at}", fixture.name);
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(decode(fixture.protocol, &single), Ok((text, expected)), "{} byte by byte", fixture.name);
    }
}

#[test]
fn each_fixture_cut_at_any_byte_is_a_cut_and_never_half_an_answer() {
    for fixture in FIXTURES {
        let expected = (fixture.answer)();
        let bytes = fixture.bytes();
        let mut whole_at = None;
        for at in 0..=bytes.len() {
            match decode(fixture.protocol, &[&bytes[..at]]) {
                Err(AnswerError::Cut) => assert_eq!(whole_at, None, "{} cut at {at}", fixture.name),
                Ok((_, answer)) => {
                    whole_at.get_or_insert(at);
                    // A usage that follows the last word may still be missing.
                    assert_eq!(
                        (&answer.message, &answer.stop),
                        (&expected.message, &expected.stop),
                        "{}",
                        fixture.name
                    );
                }
                Err(error) => panic!("{} cut at {at}: {error}", fixture.name),
            }
        }
        assert!(whole_at.is_some(), "{}", fixture.name);
    }
}

#[test]
fn carriage_returns_change_nothing() {
    for fixture in FIXTURES {
        let text = std::str::from_utf8(fixture.bytes()).unwrap().replace('\n', "\r\n");
        assert_eq!(decode(fixture.protocol, &[text.as_bytes()]).unwrap().1, (fixture.answer)(), "{}", fixture.name);
    }
}

#[test]
fn failures_within_a_stream_are_told_apart() {
    let anthropic = |kind: &str| {
        format!("event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"m\"}}}}\n\n")
    };
    let cases = [
        (Protocol::Anthropic, anthropic("overloaded_error"), true),
        (Protocol::Anthropic, anthropic("api_error"), true),
        (Protocol::Anthropic, anthropic("invalid_request_error"), false),
        (Protocol::OpenAi, "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\"}}\n\n".to_owned(), true),
        (Protocol::OpenAi, "data: {\"error\":{\"message\":\"m\",\"code\":503}}\n\n".to_owned(), true),
        (
            Protocol::OpenAi,
            "data: {\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\"}}\n\n".to_owned(),
            false,
        ),
        (Protocol::Ollama, "{\"error\":\"m\"}\n".to_owned(), false),
    ];
    for (protocol, stream, retryable) in cases {
        let error = decode(protocol, &[stream.as_bytes()]).unwrap_err();
        assert_eq!(error.is_retryable(), retryable, "{stream}");
        assert!(error.to_string().contains(": m"), "{error}");
    }
}

#[test]
fn what_is_no_json_or_no_utf8_is_malformed_and_not_retried() {
    for (protocol, stream) in [
        (Protocol::Anthropic, &b"data: {nonsense\n\n"[..]),
        (Protocol::Anthropic, b"data: {\"type\":\"content_block_delta\",\"index\":3,\"delta\":{}}\n\n"),
        (Protocol::OpenAi, b"data: nonsense\n\n"),
        (Protocol::Ollama, b"nonsense\n"),
        (Protocol::Ollama, b"\xff\xfe\n"),
    ] {
        let error = decode(protocol, &[stream]).unwrap_err();
        assert!(matches!(error, AnswerError::Malformed(_)), "{error}");
        assert!(!error.is_retryable());
    }
}

#[test]
fn arguments_that_are_no_object_reach_the_loop_as_raw_text_and_go_back_as_an_object() {
    let anthropic = [
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"ls","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"path\": "}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let openai = [
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"ls","arguments":"{\"path\": "}}]}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#,
        "[DONE]",
    ];
    let ollama = [
        r#"{"message":{"role":"assistant","tool_calls":[{"function":{"name":"ls","arguments":"{\"path\": "}}]},"done":false}"#,
        r#"{"done":true,"done_reason":"length"}"#,
    ];
    let sse = |events: &[&str]| events.iter().map(|data| format!("data: {data}\n\n")).collect::<String>();
    for (protocol, stream) in [
        (Protocol::Anthropic, sse(&anthropic)),
        (Protocol::OpenAi, sse(&openai)),
        (Protocol::Ollama, ollama.join("\n")),
    ] {
        let (_, answer) = decode(protocol, &[stream.as_bytes()]).unwrap();
        assert_eq!(answer.stop, Stop::Length);
        let calls = protocol.wire().calls(&answer.message);
        assert_eq!(calls.len(), 1, "{protocol:?}");
        assert_eq!(calls[0].args, Arguments::Malformed("{\"path\": ".to_owned()), "{protocol:?}");
        assert!(answer.message.to_string().contains("malformed_arguments"), "{}", answer.message);
    }
}

#[test]
fn stop_reasons_are_told_apart() {
    let anthropic = |word: &str| {
        format!(
            "data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{word}\"}}}}\n\ndata: {{\"type\":\"message_stop\"}}\n\n"
        )
    };
    let openai = |word: &str| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"x\"}},\"finish_reason\":\"{word}\"}}]}}\n\ndata: [DONE]\n\n"
        )
    };
    for (protocol, stream, stop) in [
        (Protocol::Anthropic, anthropic("stop_sequence"), Stop::End),
        (Protocol::Anthropic, anthropic("refusal"), Stop::Refusal),
        (Protocol::Anthropic, anthropic("max_tokens"), Stop::Length),
        (Protocol::Anthropic, anthropic("model_context_window_exceeded"), Stop::Length),
        (Protocol::Anthropic, anthropic("pause_turn"), Stop::Other("pause_turn".to_owned())),
        (Protocol::OpenAi, openai("stop"), Stop::End),
        (Protocol::OpenAi, openai("content_filter"), Stop::Refusal),
        (Protocol::OpenAi, openai("new_word"), Stop::Other("new_word".to_owned())),
        (Protocol::Ollama, "{\"done\":true,\"done_reason\":\"load\"}".to_owned(), Stop::Other("load".to_owned())),
    ] {
        assert_eq!(decode(protocol, &[stream.as_bytes()]).unwrap().1.stop, stop, "{stream}");
    }
}

#[test]
fn blank_text_is_left_out_where_the_provider_would_refuse_it_back() {
    let stream = "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\" \\n\"}}\n\n\
                  data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
    let (_, answer) = decode(Protocol::Anthropic, &[stream.as_bytes()]).unwrap();
    assert_eq!(answer.message["content"], json!([]));
}
