//! The models that a provider has, asked when it does not know the one that an execution names: a name that is off by a
//! letter is seen at once in a list, and nowhere else.
//!
//! Sources: List Models of Anthropic (docs.anthropic.com/en/api/models-list) and of OpenAI
//! (platform.openai.com/docs/api-reference/models/list), List Local Models of Ollama (docs.ollama.com/api/tags).

use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderValue;
use serde_json::Value;
use stigmer_egress::{Egress, Limits};

use super::provider::{Provider, Wire};

/// How long a provider may take to list its models: somebody waits for an error meanwhile.
pub const LIST_TIME: Duration = Duration::from_secs(5);
/// Largest list, in bytes; the longest known one has some 100 KiB.
const LIST_BYTES: u64 = 2 << 20;
/// Most names that are told.
const TOLD: usize = 8;
/// Longest name that is told, in bytes.
const NAME_BYTES: usize = 100;

/// Names of models at `provider`, those most like `asked` first, as one text; `None` when it lists none within
/// [`LIST_TIME`].
pub async fn like(egress: &Egress, provider: &Provider, asked: &str) -> Option<String> {
    told(all(egress, provider).await?, asked)
}

/// The names of the models that a provider has; `None` when it could not be asked.
async fn all(egress: &Egress, provider: &Provider) -> Option<Vec<String>> {
    tokio::time::timeout(LIST_TIME, list(egress, provider)).await.ok()?
}

/// The models that a provider has, for a person who has not chosen one; `None` when it could not be asked, empty when it
/// has none.
pub async fn there(egress: &Egress, provider: &Provider) -> Option<String> {
    all(egress, provider).await.map(|names| told(names, "").unwrap_or_default())
}

async fn list(egress: &Egress, provider: &Provider) -> Option<Vec<String>> {
    let path = match provider.wire() {
        Wire::Anthropic => "/v1/models?limit=100",
        Wire::OpenAi => "/models",
        Wire::Ollama => "/api/tags",
    };
    let mut request = http::Request::get(provider.endpoint().join(path)).body(Bytes::new()).ok()?;
    request.headers_mut().insert("accept", HeaderValue::from_static("application/json"));
    if provider.wire() == Wire::Anthropic {
        request.headers_mut().insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    }
    let limits = Limits {
        connect: LIST_TIME,
        first_byte: LIST_TIME,
        whole: LIST_TIME,
        response_bytes: LIST_BYTES,
        ..Limits::default()
    };
    let response = egress.send(&provider.reach(limits), request).await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    names(provider.wire(), &response.into_body().collect().await.ok()?)
}

fn names(wire: Wire, body: &[u8]) -> Option<Vec<String>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let (list, name) = if wire == Wire::Ollama { ("models", "name") } else { ("data", "id") };
    let names = value[list].as_array()?.iter().filter_map(|model| model[name].as_str()).filter(|name| is_plain(name));
    Some(names.map(str::to_owned).collect())
}

/// A name that can stand in a header, and on a screen.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@+".contains(&byte);
    !name.is_empty() && name.len() <= NAME_BYTES && name.bytes().all(plain)
}

fn told(mut names: Vec<String>, asked: &str) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let unlike = |name: &String| 1.0 - strsim::jaro_winkler(name, asked);
    names.sort_by(|a, b| unlike(a).total_cmp(&unlike(b)).then_with(|| a.cmp(b)));
    names.dedup();
    let more = names.len().saturating_sub(TOLD);
    names.truncate(TOLD);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("{}{more}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_as_each_provider_writes_them() {
        let anthropic = br#"{"data":[{"type":"model","id":"claude-sonnet-4-5-20250929","display_name":"Claude Sonnet 4.5","created_at":"2025-09-29T00:00:00Z"}],"has_more":false,"first_id":null,"last_id":null}"#;
        let openai = br#"{"object":"list","data":[{"id":"gpt-5.1","object":"model","created":1,"owned_by":"system"},{"id":"a b\r\n"}]}"#;
        let ollama = br#"{"models":[{"name":"qwen3:8b","model":"qwen3:8b","size":1,"digest":"d","details":{}}]}"#;
        assert_eq!(names(Wire::Anthropic, anthropic).unwrap(), ["claude-sonnet-4-5-20250929"]);
        assert_eq!(names(Wire::OpenAi, openai).unwrap(), ["gpt-5.1"]);
        assert_eq!(names(Wire::Ollama, ollama).unwrap(), ["qwen3:8b"]);
        assert_eq!(names(Wire::OpenAi, b"<html>"), None);
        assert_eq!(names(Wire::Ollama, br#"{"data":[]}"#), None);
    }

    #[test]
    fn the_likest_come_first_and_only_so_many() {
        let all = ["whisper-1", "gpt-5.1", "gpt-4o", "gpt-5.1"].map(str::to_owned).to_vec();
        assert_eq!(told(all, "gpt5.1").unwrap(), "gpt-5.1, gpt-4o, whisper-1");
        let many = |count: usize| told((0..count).map(|n| format!("m-{n:02}")).collect(), "m").unwrap();
        assert!(many(TOLD).ends_with("m-07") && many(TOLD + 1).ends_with("m-07 and 1 more"));
        assert_eq!(told(Vec::new(), "m"), None);
    }
}
