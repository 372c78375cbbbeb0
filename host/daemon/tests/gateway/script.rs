use std::collections::BTreeMap;

use stigmer_daemon::gateway::{GatewayError, Script};
use stigmer_egress::Limits;

use super::{call, gateway, open, text};

const SCRIPT: &str = r#"
[[turn]]
text = "I look at it."
[[turn.call]]
id = "look"
tool = "read_file"
args = { path = "${WORKSPACE}/a" }
[[turn]]
text = "Done."
[[turn.expect]]
call = "look"
contains = "three rows"
"#;

fn script() -> Script {
    Script::parse(SCRIPT, &BTreeMap::from([("WORKSPACE".to_owned(), "/w".to_owned())])).unwrap()
}

fn second(result: &str) -> bytes::Bytes {
    format!(
        r#"{{"model":"m-1","stream":true,"messages":[{{"role":"user","content":"go"}},
        {{"role":"assistant","content":[{{"type":"tool_use","id":"look","name":"read_file","input":{{}}}}]}},
        {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"look","content":"{result}"}}]}}]}}"#
    )
    .into()
}

#[tokio::test]
async fn it_answers_as_the_messages_api_and_counts_against_the_budget() {
    let gateway = gateway(None, Limits::default());
    let id = open(&gateway, "script", 2, None, Some(script()));
    let first = call(&id, "script", "/v1/messages");
    let reply = gateway.call(first.clone()).await.unwrap();
    assert_eq!(reply.headers, [("content-type".to_owned(), "text/event-stream".to_owned())]);
    let said = text(reply).await.unwrap();
    assert!(
        said.starts_with("event: message_start\ndata: {")
            && said.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
    );
    let mut next = first.clone();
    next.body = second("it has three rows");
    assert!(text(gateway.call(next).await.unwrap()).await.unwrap().contains("end_turn"));
    assert_eq!(gateway.call(first).await.unwrap_err().limit(), Some("max-turns"));
    let session = gateway.close(&id).unwrap();
    assert_eq!(session.script.as_ref().unwrap().left(), None);
    assert!(session.budget.spent().output > 1 && !session.budget.spent().estimated);
}

#[tokio::test]
async fn a_failed_expectation_says_expected_and_got_and_is_not_retried() {
    let gateway = gateway(None, Limits::default());
    let id = open(&gateway, "script", 9, None, Some(script()));
    let mut next = call(&id, "script", "/v1/messages");
    next.body = second("it has four rows");
    let error = gateway.call(next).await.unwrap_err();
    assert!(!error.is_transient());
    let GatewayError::Script(failure) = error else { panic!("{error:?}") };
    let shown = failure.to_string();
    assert!(shown.contains("expected: three rows") && shown.contains("got:      it has four rows"), "{shown}");
    assert!(gateway.left(&id).unwrap().to_string().contains("with 2 of"));
}

#[tokio::test]
async fn only_the_messages_path_and_its_own_model() {
    let gateway = gateway(None, Limits::default());
    let id = open(&gateway, "script", 9, None, Some(script()));
    let error = gateway.call(call(&id, "script", "/api/chat")).await.unwrap_err();
    assert!(matches!(error, GatewayError::Path { .. }));
}
