//! Each way in which an execution ends by a bound or by the model's word.

use super::*;

#[tokio::test]
async fn the_last_turn_that_may_be_taken_is_taken_and_no_more() {
    let script = || [calling(&[("echo", r#"{"a":1}"#)]), calling(&[("echo", r#"{"a":2}"#)]), saying("Done.")];
    let mut bench = Bench::new(script()).tool(echo());
    bench.task.max_turns = 3;
    assert_eq!(bench.run().await.outcome, completed("Done."));

    let mut bench = Bench::new(script()).tool(echo());
    bench.task.max_turns = 2;
    let finished = bench.run().await;
    assert_eq!(
        finished.outcome,
        Outcome::Limit { name: "max-turns".to_owned(), reason: "2 turns were taken".to_owned() }
    );
    assert_eq!(finished.turns, 2);
    assert_eq!(kinds(&bench.events())[8..], ["limit", "ended"]);
}

/// The default bound, reached from a history of all turns but one.
#[tokio::test]
async fn a_thousand_turns_may_be_taken() {
    let past = |turns: u32| {
        let entries = (1..=turns).flat_map(|turn| {
            let content =
                serde_json::json!([{ "type": "tool_use", "id": "t", "name": "echo", "input": { "n": turn } }]);
            let message = serde_json::json!({ "role": "assistant", "content": content });
            let call = crate::call::CallId::new(turn, 1);
            [
                Entry::TurnBegin(TurnBegin { turn, request_sha256: String::new() }),
                Entry::TurnEnd(TurnEnd { turn, message, usage: Usage::default(), stop: Stop::Tools }),
                Entry::CallBegin(crate::journal::CallBegin {
                    call,
                    tool: "echo".to_owned(),
                    args: serde_json::json!({ "n": turn }),
                    repeat: crate::tool::Repeat::Never,
                }),
                Entry::CallEnd(crate::journal::CallEnd {
                    call,
                    text: "x".to_owned(),
                    is_error: false,
                    full: None,
                    spilled: None,
                }),
            ]
        });
        History::from_entries(entries).unwrap()
    };
    let mut bench = Bench::new([saying("Done.")]).tool(echo());
    bench.history = past(MAX_TURNS - 1);
    assert_eq!(bench.run().await.outcome, completed("Done."));

    let mut bench = Bench::new([saying("Done.")]).tool(echo());
    bench.history = past(MAX_TURNS);
    assert!(matches!(bench.run().await.outcome, Outcome::Limit { name, .. } if name == "max-turns"));
    assert!(bench.model.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_cut_at_its_length_is_asked_to_go_on_and_three_running_are_a_limit() {
    let cut = || Reply::ok(turn("half", &[], "max_tokens"));
    let bench = Bench::new([cut(), cut(), saying("rest")]);
    assert_eq!(bench.run().await.outcome, completed("rest"));
    assert!(bench.bodies()[1].to_string().contains(GO_ON));

    let bench = Bench::new((0..CUT_SHORT).map(|_| cut()));
    assert!(matches!(bench.run().await.outcome, Outcome::Limit { name, .. } if name == "answer-tokens"));
}

#[tokio::test]
async fn a_refusal_and_an_unknown_stop_are_failures_that_say_so() {
    for (word, reason) in
        [("refusal", "the model declined to go on"), ("pause_turn", "the model stopped for `pause_turn`")]
    {
        let bench = Bench::new([Reply::ok(turn("x", &[], word))]);
        assert_eq!(bench.run().await.outcome, Outcome::Failed { reason: reason.to_owned() });
    }
}

#[tokio::test]
async fn a_bound_of_the_gateway_is_a_limit_and_its_refusal_a_failure_and_neither_is_tried_again() {
    let limit = TransportError::Limit { name: "max-tokens".to_owned(), reason: "5 of 5".to_owned() };
    let bench = Bench::new([Reply::Error(limit)]);
    let outcome = Outcome::Limit { name: "max-tokens".to_owned(), reason: "5 of 5".to_owned() };
    assert_eq!(bench.run().await.outcome, outcome);

    let bench = Bench::new([Reply::Error(TransportError::Refused("wrong model".to_owned()))]);
    let reason = "the gateway refused the request: wrong model".to_owned();
    assert_eq!(bench.run().await.outcome, Outcome::Failed { reason });
}
