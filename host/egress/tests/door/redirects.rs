use std::sync::Arc;

use stigmer_egress::{Credential, EgressError, HeaderShape};
use stigmer_secrets::SecretValue;

use super::support::*;

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test]
async fn handed_back_unless_asked_for() {
    let (end, heads) = answers(OK).await;
    let (start, _) = answers(redirect(&format!("http://{end}/"))).await;
    let reach = reach(&[("127.0.0.1", start.port()), ("127.0.0.1", end.port())]);
    let response = egress(&Table::default()).send(&reach, get(&format!("http://{start}/"))).await.unwrap();
    assert_eq!(response.status(), 302);
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn followed_with_every_check_and_without_the_key_of_another() {
    let (end, heads) = answers(OK).await;
    let (start, _) = answers(redirect(&format!("http://{end}/x"))).await;
    let mut reach = reach(&[("127.0.0.1", start.port()), ("127.0.0.1", end.port())]);
    reach.redirects = 1;
    let value = Arc::new(SecretValue::new("sk-canary").unwrap());
    let (host, shape) = ("127.0.0.1".to_owned(), HeaderShape::Bearer);
    reach.credentials.push(Arc::new(Credential { host, port: start.port(), shape, value }));
    let response = egress(&Table::default()).send(&reach, get(&format!("http://{start}/"))).await.unwrap();
    assert_eq!(response.status(), 200);
    let seen = heads.lock().unwrap().clone();
    assert!(seen[0].starts_with("GET /x ") && !seen[0].contains("canary"), "{seen:?}");

    reach.hosts.pop();
    let error = egress(&Table::default()).send(&reach, get(&format!("http://{start}/"))).await.unwrap_err();
    assert!(error.denial().is_some(), "{error:?}");
    assert_eq!(heads.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn into_the_metadata_service_and_round_and_round_are_refused() {
    let (start, _) = answers(redirect("http://169.254.169.254/latest")).await;
    let mut reach = reach(&[("127.0.0.1", start.port())]);
    reach.redirects = 5;
    let error = egress(&Table::default()).send(&reach, get(&format!("http://{start}/"))).await.unwrap_err();
    assert!(matches!(error, EgressError::PrivateAddress { .. }), "{error:?}");

    let (start, heads) = answers(redirect("/again")).await;
    reach.hosts = vec![rule("127.0.0.1", start.port())];
    let error = egress(&Table::default()).send(&reach, get(&format!("http://{start}/"))).await.unwrap_err();
    assert!(matches!(error, EgressError::Redirect { .. }), "{error:?}");
    assert_eq!(heads.lock().unwrap().len(), 6, "the first request and five redirects");
}
