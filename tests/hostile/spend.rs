//! Asking the model without letting it be counted.

use bytes::Bytes;
use stigmer_proto::runner as wire;
use stigmer_proto::runner::model_request::Part;

use crate::Attacker;

/// One request whose answer is dropped at its head, then one journal entry, so that the death counts as progress, then
/// death. Returns when the model is refused.
pub(crate) async fn and_die(attacker: &Attacker) {
    let spec = &attacker.spec;
    let head = wire::ModelHead {
        provider: spec.provider.clone(),
        model: spec.model.clone(),
        path: "/v1/messages".to_owned(),
        method: "POST".to_owned(),
        headers: vec![wire::Header { name: "content-type".to_owned(), value: Bytes::from_static(b"application/json") }],
        // Every request claims to be another try of the first.
        turn: 1,
        attempt: 2,
    };
    let body = serde_json::json!({ "model": spec.model, "max_tokens": 1, "messages": [], "stream": true });
    let Ok(mut reply) = attacker.rpc.model(vec![Part::Head(head), Part::Chunk(body.to_string().into())]).await else {
        return;
    };
    let first = reply.message().await.ok().flatten().and_then(|reply| reply.part);
    if !matches!(first, Some(wire::http_reply::Part::Head(_))) {
        return;
    }
    let entry = wire::Entry {
        id: format!("turn-{}-begin", spec.attempt),
        kind: wire::EntryKind::TurnBegin.into(),
        turn: spec.attempt,
        body: Bytes::from_static(b"{}"),
        ..wire::Entry::default()
    };
    let _ = attacker.rpc.runner().append(wire::AppendRequest { entries: vec![entry], events: Vec::new() }).await;
    std::process::exit(1);
}
