//! What a person is told of a provider's refusal.

use crate::model::LOCAL_CONTEXT_TOKENS;
use crate::transport::ModelResponse;

/// Headers by which the gateway says whom it asked, and with whose key. Absent where the transport is no gateway.
pub(crate) const PROVIDER: &str = "stigmer-provider";
pub(crate) const MODEL: &str = "stigmer-model";
pub(crate) const KEY_FROM: &str = "stigmer-key-from";
pub(crate) const MODELS: &str = "stigmer-models";

/// Whom was asked, the status, the provider's words, and what to do next where that is known.
pub(crate) fn reason(response: &ModelResponse, message: &str) -> String {
    let (status, provider) = (response.status, response.header(PROVIDER));
    let who = match (provider, response.header(MODEL)) {
        (Some(provider), Some(model)) => format!("`{provider}` (model `{model}`)"),
        _ => "the model".to_owned(),
    };
    let (key_from, models) = (response.header(KEY_FROM), response.header(MODELS));
    let next = provider.and_then(|provider| next(status, provider, key_from, models, message));
    let next = next.map(|next| format!("; {next}")).unwrap_or_default();
    format!("{who} answered with status {status}: {message}{next}")
}

fn next(status: u16, provider: &str, key_from: Option<&str>, models: Option<&str>, message: &str) -> Option<String> {
    if let Some(models) = models {
        let pull = if provider == "ollama" { ", `ollama pull` gets another" } else { "" };
        return Some(format!("there are {models}: name one with `--model`{pull}"));
    }
    match (status, key_from) {
        (401 | 403, Some(from)) => Some(format!(
            "the key's origin: {from}; change it there, or name another with `stigmer secret set {provider}`"
        )),
        (401 | 403, None) => Some(format!("no key was sent; `stigmer secret set {provider}` keeps one")),
        (404, _) if provider == "ollama" => {
            Some("`ollama list` shows the models that are here, `ollama pull` gets one".to_owned())
        }
        (404, _) => Some("does this model exist there? `--model` names another".to_owned()),
        (400 | 413 | 500, _) if provider == "ollama" && is_too_long(message) => Some(format!(
            "the conversation is longer than the {LOCAL_CONTEXT_TOKENS} tokens that are asked for: start a new one"
        )),
        (400 | 413, _) if is_too_long(message) => Some(
            "the conversation is longer than the model takes: start a new one, or name a model with a larger context"
                .to_owned(),
        ),
        _ => None,
    }
}

/// The providers' words for it; none of them has a code of its own in every case.
fn is_too_long(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "prompt is too long",
        "maximum context length",
        "context window",
        "context length",
        "context_length_exceeded",
        "request_too_large",
    ]
    .iter()
    .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, provider: &str, key_from: Option<&str>, message: &str) -> String {
        let from = key_from.map(|from| (KEY_FROM, from));
        let headers = [(PROVIDER, provider), (MODEL, "m-1")].into_iter().chain(from);
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let body = futures::StreamExt::boxed(futures::stream::empty());
        reason(&ModelResponse { status, headers, body }, message)
    }

    #[test]
    fn an_unknown_model_names_those_that_are_there() {
        let of = |provider: &str| {
            let headers = [(PROVIDER, provider), (MODEL, "m-1"), (MODELS, "m-2, m-3 and 4 more")];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
            let body = futures::StreamExt::boxed(futures::stream::empty());
            reason(&ModelResponse { status: 404, headers, body }, "model: m-1")
        };
        let said = of("anthropic");
        assert!(said.ends_with("model: m-1; there are m-2, m-3 and 4 more: name one with `--model`"), "{said}");
        assert!(of("ollama").ends_with("`ollama pull` gets another"), "{}", of("ollama"));
    }

    #[test]
    fn each_refusal_names_provider_model_status_words_and_what_to_do_next() {
        let key = said(401, "anthropic", Some("environment variable `ANTHROPIC_API_KEY`"), "invalid x-api-key");
        assert!(key.starts_with("`anthropic` (model `m-1`) answered with status 401: invalid x-api-key; "), "{key}");
        assert!(
            key.contains("environment variable `ANTHROPIC_API_KEY`") && key.contains("stigmer secret set anthropic")
        );
        assert!(said(401, "openai-compatible", None, "x").contains("no key was sent"));
        assert!(said(404, "openai", None, "The model `m-1` does not exist").contains("--model"));
        assert!(said(404, "ollama", None, "model 'm-1' not found").contains("ollama list"));
        let too_long = said(400, "ollama", None, "the input length exceeds the context length");
        assert!(too_long.contains("longer than the 32768 tokens"), "{too_long}");
        for words in [
            "prompt is too long: 203456 tokens > 200000 maximum",
            "This model's maximum context length is 128000 tokens.",
            "Your input exceeds the context window of this model.",
        ] {
            assert!(said(400, "openai", None, words).contains("larger context"), "{words}");
        }
        assert_eq!(said(400, "openai", None, "bad"), "`openai` (model `m-1`) answered with status 400: bad");
    }
}
