use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use stigmer_egress::{Credential, EgressError, HeaderShape};
use stigmer_secrets::SecretValue;

use super::support::*;

fn key(host: &str, port: u16, text: &str) -> Arc<Credential> {
    let value = Arc::new(SecretValue::new(text).unwrap());
    Arc::new(Credential { host: host.to_owned(), port, shape: HeaderShape::XApiKey, value })
}

#[tokio::test]
async fn the_callers_credentials_go_out_of_the_request_and_ours_go_in() {
    let (server, heads) = answers(OK).await;
    let mut reach = reach(&[("127.0.0.1", server.port())]);
    reach.credentials.push(key("127.0.0.1", server.port(), "sk-ours"));
    let request = Request::post(format!("http://{server}/v1"))
        .header("Authorization", "Bearer placeholder")
        .header("X-API-Key", "placeholder")
        .header("Proxy-Authorization", "placeholder")
        .header("Host", "evil.example")
        .header("Transfer-Encoding", "chunked")
        .header("Content-Length", "999")
        .header("anthropic-version", "2023-06-01")
        .body(Bytes::from_static(b"{}"))
        .unwrap();
    egress(&Table::default()).send(&reach, request).await.unwrap();
    let head = heads.lock().unwrap()[0].to_ascii_lowercase();
    assert!(!head.contains("placeholder") && !head.contains("evil") && !head.contains("transfer-encoding"), "{head}");
    for line in [
        "x-api-key: sk-ours\r\n".to_owned(),
        "anthropic-version: 2023-06-01\r\n".to_owned(),
        "content-length: 2\r\n".to_owned(),
        format!("host: {server}\r\n"),
    ] {
        assert_eq!(head.matches(&line).count(), 1, "{line} in {head}");
    }
}

#[tokio::test]
async fn another_host_does_not_get_it() {
    let (server, heads) = answers(OK).await;
    let mut reach = reach(&[("127.0.0.1", server.port())]);
    reach.credentials.push(key("127.0.0.1", server.port() ^ 1, "sk-canary"));
    reach.credentials.push(key("api.example.com", server.port(), "sk-canary"));
    egress(&Table::default()).send(&reach, get(&format!("http://{server}/"))).await.unwrap();
    assert!(!heads.lock().unwrap()[0].contains("canary"));
}

#[tokio::test]
async fn never_in_the_clear_to_a_name_and_never_a_broken_header() {
    let (server, heads) = answers(OK).await;
    let mut reach = reach(&[("api.example.com", server.port()), ("127.0.0.1", server.port())]);
    reach.credentials.push(key("api.example.com", server.port(), "sk-canary"));
    let door = egress(&Table::of(&[&["127.0.0.1"]]));
    let url = format!("http://api.example.com:{}/", server.port());
    assert!(matches!(door.send(&reach, get(&url)).await, Err(EgressError::InsecureCredential { .. })));

    reach.credentials = vec![key("127.0.0.1", server.port(), "sk-canary\r\nx-evil: 1")];
    let error = door.send(&reach, get(&format!("http://{server}/"))).await.unwrap_err();
    assert!(matches!(error, EgressError::CredentialText { .. }));
    assert!(!format!("{error:?}").contains("canary"));
    assert!(heads.lock().unwrap().is_empty());
}
