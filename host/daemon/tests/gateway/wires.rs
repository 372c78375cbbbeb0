use std::time::Duration;

use stigmer_daemon::gateway::models::LIST_TIME;
use stigmer_daemon::gateway::{GatewayError, Provider, Spent, ollama_answers};
use stigmer_egress::{Egress, EgressError, Limits, Settings};

use super::{KEY, call, endpoint, gateway, key, open, text};
use crate::model_server::{Answer, Fault, ModelServer};

const ANTHROPIC: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hällo\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
);

async fn anthropic(answers: Vec<Answer>) -> (ModelServer, Provider) {
    let server = ModelServer::start(answers).await.unwrap();
    let provider = Provider::anthropic(endpoint(&server.url()), key());
    (server, provider)
}

#[tokio::test]
async fn the_key_goes_in_the_placeholder_goes_out_the_bytes_pass_unchanged() {
    let (server, provider) =
        anthropic(vec![Answer::events(ANTHROPIC).header("request-id", "r1").header("set-cookie", "a=b")]).await;
    let gateway = gateway(Some(provider), Limits::default());
    let id = open(&gateway, "anthropic", 5, None, None);
    let reply = gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap();
    assert_eq!(reply.status, 200);
    let names: Vec<_> = reply.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["content-type", "request-id"]);
    assert_eq!(text(reply).await.unwrap(), ANTHROPIC);

    let asked = server.asked().remove(0);
    assert_eq!(asked.line, "POST /v1/messages");
    assert_eq!(asked.header("x-api-key"), Some(KEY));
    assert_eq!(asked.header("anthropic-version"), Some("2023-06-01"));
    for gone in ["authorization", "x-stainless-lang"] {
        assert_eq!(asked.header(gone), None, "{gone}");
    }
    assert!(server.url().ends_with(asked.header("host").unwrap()));
    let spent = gateway.close(&id).unwrap().budget.spent();
    assert_eq!(spent, Spent { turns: 1, input: 25, output: 15, ..Spent::default() });
}

#[tokio::test]
async fn the_other_wires() {
    const OPENAI: &str =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n";
    const OLLAMA: &str = "{\"message\":{\"content\":\"x\"},\"done\":true,\"prompt_eval_count\":26,\"eval_count\":12}\n";
    let server =
        ModelServer::start([Answer::events(OPENAI), Answer::events(OPENAI), Answer::lines(OLLAMA)]).await.unwrap();
    let base = format!("{}/v1", server.url());
    for (provider, path, line, bearer, tokens) in [
        (Provider::openai(endpoint(&base), key()), "/chat/completions", "POST /v1/chat/completions", true, (30, 4)),
        (
            Provider::compatible(endpoint(&base).unwrap(), None),
            "/chat/completions",
            "POST /v1/chat/completions",
            false,
            (30, 4),
        ),
        (Provider::ollama(endpoint(&server.url())), "/api/chat", "POST /api/chat", false, (26, 12)),
    ] {
        let name = provider.name().to_owned();
        let gateway = gateway(Some(provider), Limits::default());
        let id = open(&gateway, &name, 5, None, None);
        text(gateway.call(call(&id, &name, path)).await.unwrap()).await.unwrap();
        let asked = server.asked().pop().unwrap();
        assert_eq!(asked.line, line);
        assert_eq!(asked.header("authorization"), bearer.then(|| format!("Bearer {KEY}")).as_deref(), "{name}");
        assert_eq!((asked.header("x-api-key"), asked.header("anthropic-version")), (None, None));
        let spent = gateway.close(&id).unwrap().budget.spent();
        assert_eq!((spent.input, spent.output), tokens, "{name}");
    }
}

#[tokio::test]
async fn a_split_anywhere_changes_neither_bytes_nor_count() {
    let splits: Vec<usize> = (0..ANTHROPIC.len()).collect();
    let answers = splits.iter().map(|at| Answer::events(ANTHROPIC).with(Fault::Split(*at)));
    let (_server, provider) = anthropic(answers.chain([Answer::events(ANTHROPIC).with(Fault::Drip)]).collect()).await;
    let gateway = gateway(Some(provider), Limits::default());
    for _ in 0..=splits.len() {
        let id = open(&gateway, "anthropic", 1, None, None);
        let reply = gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap();
        assert_eq!(text(reply).await.unwrap(), ANTHROPIC);
        assert_eq!(gateway.close(&id).unwrap().budget.spent().tokens(), 40);
    }
}

#[tokio::test]
async fn a_provider_that_echoes_the_key_does_not_get_it_to_the_runner() {
    let body = format!("data: {{\"error\":{{\"message\":\"bad key {KEY} and Bearer {KEY}\"}}}}\n\n");
    let cut = body.find(KEY).unwrap() + 5;
    let echo = |fault| Answer::events(body.clone()).with(fault).header("x-request-id", KEY);
    let (_server, provider) = anthropic(vec![echo(Fault::Split(cut)), echo(Fault::Drip)]).await;
    let gateway = gateway(Some(provider), Limits::default());
    let id = open(&gateway, "anthropic", 5, None, None);
    for _ in 0..2 {
        let reply = gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap();
        assert!(reply.headers.iter().all(|(_, value)| !value.contains("canary")), "{:?}", reply.headers);
        assert_eq!(text(reply).await.unwrap(), body.replace(KEY, "[redacted]"));
    }
    assert_eq!(gateway.redactor().text(&format!("log {KEY}")), "log [redacted]");
}

#[tokio::test]
async fn error_statuses_pass_with_retry_after_and_cost_no_turn() {
    let statuses = [(429, Some("7")), (500, None), (503, Some("1")), (529, None), (401, None)];
    let answers = statuses.map(|(status, after)| Answer::status(status, after));
    let (_server, provider) = anthropic(answers.into_iter().chain([Answer::events(ANTHROPIC)]).collect()).await;
    let gateway = gateway(Some(provider), Limits::default());
    let id = open(&gateway, "anthropic", 1, None, None);
    for (status, after) in statuses {
        let reply = gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap();
        let got = reply.headers.iter().find(|(name, _)| name == "retry-after").map(|(_, value)| value.as_str());
        assert_eq!((reply.status, got), (status, after));
        assert!(text(reply).await.unwrap().contains(&status.to_string()));
    }
    text(gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap()).await.unwrap();
    let error = gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap_err();
    assert_eq!(error.limit(), Some("max-turns"));
    assert!(error.hint().unwrap().contains("--max-turns"));
}

#[tokio::test]
async fn a_redirect_is_handed_on_and_never_followed_with_the_key() {
    let elsewhere = ModelServer::start([Answer::events(ANTHROPIC)]).await.unwrap();
    let away = Answer::status(307, None).header("location", &format!("{}/v1/messages", elsewhere.url()));
    let (server, provider) = anthropic(vec![away, Answer::events(ANTHROPIC)]).await;
    let gateway = gateway(Some(provider), Limits::default());
    let id = open(&gateway, "anthropic", 5, None, None);
    assert_eq!(gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap().status, 307);
    assert_eq!(gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap().status, 200);
    assert_eq!((server.asked().len(), elsewhere.asked().len()), (2, 0));
}

#[tokio::test]
async fn a_refusal_says_whom_was_asked_and_where_the_key_came_from() {
    let answers = vec![Answer::status(401, None).header("x-should-retry", "false"), Answer::events(ANTHROPIC)];
    let (_server, provider) = anthropic(answers).await;
    let gateway = gateway(Some(provider.with_key_from("environment variable `ANTHROPIC_API_KEY`")), Limits::default());
    let id = open(&gateway, "anthropic", 5, None, None);
    let reply = gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap();
    for (name, value) in [
        ("x-should-retry", "false"),
        ("stigmer-provider", "anthropic"),
        ("stigmer-model", "m-1"),
        ("stigmer-key-from", "environment variable `ANTHROPIC_API_KEY`"),
    ] {
        assert!(reply.headers.contains(&(name.to_owned(), value.to_owned())), "{name}: {:?}", reply.headers);
    }
    let reply = gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap();
    assert!(reply.headers.iter().all(|(name, _)| !name.starts_with("stigmer-")), "{:?}", reply.headers);
}

#[tokio::test]
async fn an_unknown_model_is_answered_with_the_models_that_are_there() {
    let data = r#"{"data":[{"id":"m-9"},{"id":"m-2"}]}"#;
    let tags = r#"{"models":[{"name":"m-9"},{"name":"m-2"}]}"#;
    let list = |body: &str| {
        [Answer::status(404, None), Answer::json(body), Answer::status(404, None), Answer::status(500, None)]
    };
    for (name, path, lists, body) in [
        ("anthropic", "/v1/messages", "GET /v1/models?limit=100", data),
        ("openai", "/chat/completions", "GET /models", data),
        ("ollama", "/api/chat", "GET /api/tags", tags),
    ] {
        let server = ModelServer::start(list(body)).await.unwrap();
        let base = endpoint(&server.url());
        let provider = match name {
            "anthropic" => Provider::anthropic(base, key()),
            "openai" => Provider::openai(base, key()),
            _ => Provider::ollama(base),
        };
        let gateway = gateway(Some(provider), Limits::default());
        let id = open(&gateway, name, 1, None, None);
        // The second time the provider lists nothing: the refusal is handed on all the same, and neither costs a turn.
        for models in [Some("m-2, m-9"), None] {
            let reply = gateway.call(call(&id, name, path)).await.unwrap();
            let said = reply.headers.iter().find(|(name, _)| name == "stigmer-models").map(|(_, value)| value.as_str());
            assert_eq!((reply.status, said), (404, models), "{name}");
        }
        let asked = server.asked();
        assert_eq!(asked[1].line, lists);
        assert_eq!(asked[1].header("x-api-key"), (name == "anthropic").then_some(KEY));
        assert_eq!(asked[1].header("authorization").is_some(), name == "openai");
        assert_eq!(gateway.close(&id).unwrap().budget.spent().turns, 0);
    }
}

#[tokio::test]
async fn a_list_of_models_that_does_not_come_is_not_waited_for() {
    let list = Answer::json(r#"{"data":[{"id":"m-2"}]}"#).with(Fault::Stall(3));
    let (_server, provider) = anthropic(vec![Answer::status(404, None), list]).await;
    let gateway = gateway(Some(provider), Limits::default());
    let id = open(&gateway, "anthropic", 1, None, None);
    let begun = std::time::Instant::now();
    let reply = gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap();
    let took = begun.elapsed();
    assert!(took >= LIST_TIME && took < LIST_TIME * 3, "{took:?}");
    assert_eq!((reply.status, reply.headers.iter().any(|(name, _)| name == "stigmer-models")), (404, false));
}

#[tokio::test]
async fn a_cut_stream_and_a_stalled_one_are_errors_and_cost_no_turn() {
    let cut = ANTHROPIC.find("event: message_delta").unwrap();
    let faults = [Fault::Close(cut), Fault::Stall(cut), Fault::None];
    let (_server, provider) = anthropic(faults.map(|fault| Answer::events(ANTHROPIC).with(fault)).to_vec()).await;
    let gateway = gateway(Some(provider), Limits { idle: Duration::from_millis(200), ..Limits::default() });
    let id = open(&gateway, "anthropic", 1, None, None);
    for _ in 0..2 {
        let reply = gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap();
        let (seen, error) = text(reply).await.unwrap_err();
        assert_eq!(seen, &ANTHROPIC[..cut]);
        assert!(error.is_transient(), "{error:?}");
    }
    text(gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap()).await.unwrap();
    let spent = gateway.close(&id).unwrap().budget.spent();
    assert_eq!((spent.turns, spent.input, spent.output), (1, 75, 17), "tokens of cut streams were spent");
}

#[tokio::test]
async fn an_answer_that_the_runner_drops_costs_its_turn_and_its_tokens() {
    let (_server, provider) = anthropic(vec![Answer::events(ANTHROPIC).with(Fault::Stall(ANTHROPIC.len() - 1))]).await;
    let gateway = gateway(Some(provider), Limits::default());
    let id = open(&gateway, "anthropic", 1, None, None);
    let reply = gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap();
    let mut body = reply.body;
    futures::StreamExt::next(&mut body).await.unwrap().unwrap();
    drop(body);
    assert_eq!(
        gateway.close(&id).unwrap().budget.spent(),
        Spent { turns: 1, input: 25, output: 15, ..Spent::default() }
    );
}

#[tokio::test]
async fn tokens_stop_the_next_turn() {
    let (_server, provider) = anthropic(vec![Answer::events(ANTHROPIC); 3]).await;
    let gateway = gateway(Some(provider), Limits::default());
    for (limit, goes_on) in [(41, true), (40, false)] {
        let id = open(&gateway, "anthropic", 9, Some(limit), None);
        text(gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap()).await.unwrap();
        let got = gateway.call(call(&id, "anthropic", "/v1/messages")).await;
        assert_eq!(got.err().and_then(|error| error.limit()), (!goes_on).then_some("max-tokens"));
    }
}

#[tokio::test]
async fn what_a_runner_may_not_ask() {
    let (server, provider) = anthropic(vec![Answer::events(ANTHROPIC)]).await;
    let gateway = gateway(Some(provider), Limits::default());
    let id = open(&gateway, "anthropic", 9, None, None);
    let good = call(&id, "anthropic", "/v1/messages");
    let with = |change: &dyn Fn(&mut stigmer_daemon::gateway::ModelCall)| {
        let mut call = good.clone();
        change(&mut call);
        call
    };
    for path in [
        "/v1/files",
        "/v1/messages/",
        "/v1/messages?beta=true",
        "/v1/../v1/messages",
        "//evil.example/v1/messages",
        "@evil/v1/messages",
        "",
    ] {
        let error = gateway.call(with(&|call| call.path = path.to_owned())).await.unwrap_err();
        assert!(matches!(error, GatewayError::Path { .. }), "{path}: {error:?}");
    }
    for body in
        [r#"{"model":"m-2"}"#, r#"{"model":"m-2","model":"m-1"}"#, r#"{"model":"m-1","model":"m-2"}"#, "{}", "x"]
    {
        let error = gateway.call(with(&|call| call.body = body.to_owned().into())).await.unwrap_err();
        assert!(matches!(error, GatewayError::Model { .. } | GatewayError::Body(_)), "{body}: {error:?}");
    }
    let error = gateway.call(with(&|call| call.model = "m-2".to_owned())).await.unwrap_err();
    assert!(matches!(error, GatewayError::Model { .. }));
    let error = gateway.call(with(&|call| call.provider = "openai".to_owned())).await.unwrap_err();
    assert!(matches!(error, GatewayError::Provider { .. }));
    let other = stigmer_daemon::ExecutionId::new();
    let error = gateway.call(with(&|call| call.execution = other.clone())).await.unwrap_err();
    assert!(matches!(error, GatewayError::UnknownExecution { .. }));
    assert!(server.asked().is_empty(), "nothing left");
    text(gateway.call(good.clone()).await.unwrap()).await.unwrap();
    gateway.close(&id);
    assert!(matches!(gateway.call(good).await, Err(GatewayError::UnknownExecution { .. })));
}

#[tokio::test]
async fn a_missing_key_a_missing_provider_and_a_server_that_is_not_there() {
    let gateway = gateway(Some(Provider::anthropic(None, None)), Limits::default());
    let id = open(&gateway, "anthropic", 9, None, None);
    let error = gateway.call(call(&id, "anthropic", "/v1/messages")).await.unwrap_err();
    assert!(matches!(error, GatewayError::NeedsKey { .. }) && error.hint().unwrap().contains("secret set anthropic"));
    let id = open(&gateway, "openai", 9, None, None);
    assert!(matches!(gateway.call(call(&id, "openai", "/chat/completions")).await, Err(GatewayError::NotSetUp { .. })));

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    gateway.set_provider(Provider::ollama(endpoint(&format!("http://{closed}"))));
    let id = open(&gateway, "ollama", 1, None, None);
    for _ in 0..2 {
        let error = gateway.call(call(&id, "ollama", "/api/chat")).await.unwrap_err();
        let connect = |source: &EgressError| matches!(source, EgressError::Connect { .. });
        assert!(matches!(&error, GatewayError::Egress { source, .. } if connect(source)), "{error:?}");
        assert!(error.is_transient() && error.hint().unwrap().contains("ollama serve"));
    }
}

#[tokio::test]
async fn an_ollama_is_found_and_another_server_is_none() {
    let server = ModelServer::start([
        Answer::json("{\"version\":\"0.9.0\"}"),
        Answer::json("{}"),
        Answer::status(404, None),
        Answer::json("{\"version\":\"0.9.0\"}").with(Fault::Stall(3)),
    ])
    .await
    .unwrap();
    let door = Egress::new(Settings::default()).unwrap();
    let base = endpoint(&server.url()).unwrap();
    for want in [true, false, false, false] {
        assert_eq!(ollama_answers(&door, &base).await, want);
    }
    assert_eq!(server.asked()[0].line, "GET /api/version");
}
