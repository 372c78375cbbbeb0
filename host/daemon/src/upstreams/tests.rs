use stigmer_egress::{Egress, Limits, Settings};

use super::*;
use crate::request::Approve;
use crate::store::tests::{create, open};

fn upstreams() -> GatewayUpstreams {
    let egress = Egress::new(Settings::default()).unwrap();
    GatewayUpstreams::new(Arc::new(Gateway::new(Arc::new(egress), Limits::default())))
}

fn request(provider: &str) -> RunRequest {
    RunRequest {
        provider: provider.to_owned(),
        ..crate::supervisor::tests::request(std::path::Path::new("/w"), Approve::Auto)
    }
}

#[tokio::test]
async fn a_key_is_needed_kept_by_name_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let id = create(&store).await;
    let upstreams = upstreams();
    let work = ExecutionWork::default();
    let refused = upstreams.model(&id, &request("anthropic"), &work, &store).await.err().unwrap();
    assert_eq!(refused, UpstreamError::NeedsKey { provider: "anthropic".to_owned() });
    upstreams.set_secret("anthropic", "canary-key", "prompt").unwrap();
    upstreams.model(&id, &request("anthropic"), &work, &store).await.unwrap();
    assert_eq!(upstreams.secrets(), [("anthropic".to_owned(), "prompt".to_owned())]);
    assert_eq!(upstreams.providers()[0].key_origin, "prompt");
    assert!(!format!("{upstreams:?}").contains("canary-key"));
    assert!(upstreams.delete_secret("anthropic"));
    assert!(matches!(upstreams.check(&request("anthropic")), Err(UpstreamError::NeedsKey { .. })));
    assert!(upstreams.set_secret("anthropic", "", "prompt").is_err());
}

#[tokio::test]
async fn unknown_providers_and_bad_scripts_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let id = create(&store).await;
    let upstreams = upstreams();
    let unknown = upstreams.check(&request("nobody")).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no provider `nobody`");
    let script = RunRequest { script: "no toml".to_owned(), ..request("script") };
    let refused = upstreams.model(&id, &script, &ExecutionWork::default(), &store).await.err().unwrap();
    assert!(matches!(refused, UpstreamError::Invalid(_)));
}

#[tokio::test]
async fn a_plugin_without_a_grant_reaches_nothing_and_that_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let id = create(&store).await;
    let http = ClosedHttp { store: store.clone(), execution: id.clone() };
    let call = PluginCall {
        plugin: "p".to_owned(),
        method: "GET".to_owned(),
        url: "https://example.com/".to_owned(),
        headers: vec![],
        call: "c1".to_owned(),
        connect_timeout_ms: 0,
        first_byte_timeout_ms: 0,
        between_bytes_timeout_ms: 0,
        body: Bytes::new(),
    };
    let parts: Vec<Part> = http.call(call).await.collect().await;
    assert!(matches!(&parts[..], [Part::Failed(failure)] if failure.kind == FailureKind::Denied));
    let denials = store.denials(&id).await.unwrap();
    assert_eq!((denials[0].observer.as_str(), denials[0].wall.as_str()), ("daemon", "plugin"));
}
