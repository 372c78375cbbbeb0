//! Where the provider is, and what is missing there.

use std::sync::Arc;

use anyhow::Context as _;
use stigmer_daemon::gateway::provider::OLLAMA;
use stigmer_daemon::gateway::{Endpoint, Provider, models, ollama_answers};
use stigmer_egress::{Egress, Settings};

use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::{Key, row};

/// Every base URL that was set can be used.
pub(crate) fn check_endpoints(context: &Context) -> Result<(), Failure> {
    for key in [Key::OllamaUrl, Key::AnthropicUrl, Key::OpenAiUrl] {
        endpoint(context, key)?;
    }
    Ok(())
}

/// The setting that says where a provider is.
pub(crate) fn address_of(provider: Option<&str>) -> Option<Key> {
    match provider? {
        "anthropic" => Some(Key::AnthropicUrl),
        "openai" | "openai-compatible" => Some(Key::OpenAiUrl),
        "ollama" => Some(Key::OllamaUrl),
        _ => None,
    }
}

/// Says it when what is told to the provider in use, and its key, leave this machine unencrypted.
pub(crate) fn warn_in_the_clear(context: &Context, printer: &Printer) -> Result<(), Failure> {
    let Some(key) = address_of(context.settings.value(Key::Provider)) else { return Ok(()) };
    if let Some(host) = endpoint(context, key)?.and_then(|endpoint| endpoint.in_the_clear()) {
        let name = row(key).variables[0];
        printer.note(format_args!(
            "{name} is plain http: the conversation, and a key, can be read and changed on the way to `{host}`"
        ));
        printer.hint(format_args!("use https, or a tunnel such as `ssh -L`, where that way is not yours alone"));
    }
    Ok(())
}

fn endpoint(context: &Context, key: Key) -> Result<Option<Endpoint>, Failure> {
    let Some(url) = context.settings.value(key) else { return Ok(None) };
    let parsed = Endpoint::parse(url).with_context(|| format!("{} cannot be used", row(key).variables[0]));
    parsed.map(Some).map_err(Failure::usage)
}

pub(super) fn ollama(context: &Context) -> Result<bool, Failure> {
    let base = ollama_base(context)?;
    let egress = Arc::new(Egress::new(Settings::default()).context("could not look for an Ollama")?);
    Ok(client::runtime()?.block_on(ollama_answers(&egress, &base)))
}

fn ollama_base(context: &Context) -> Result<Endpoint, Failure> {
    Ok(match endpoint(context, Key::OllamaUrl)? {
        Some(base) => base,
        None => Endpoint::parse(OLLAMA).context("Ollama's own address is no address")?,
    })
}

/// Says what the provider in use still lacks before a run can ask it: an address, somebody there, the name of a model.
///
/// # Errors
/// Wrong usage: an `openai-compatible` without an address.
pub(crate) fn say_what_is_missing(context: &Context, printer: &Printer) -> Result<(), Failure> {
    let provider = context.settings.value(Key::Provider);
    if provider == Some("openai-compatible") && context.settings.get(Key::OpenAiUrl).is_none() {
        let error = anyhow::anyhow!("the provider `openai-compatible` needs an address");
        return Err(Failure::usage(error).hint(Some("set OPENAI_BASE_URL".to_owned())));
    }
    let named = context.settings.get(Key::Model).is_some();
    if provider == Some("ollama") {
        let base = ollama_base(context)?;
        if !ollama(context)? {
            printer.note(format_args!("no Ollama answers at {base}"));
            printer.hint(format_args!("start it with `ollama serve`, or name its address by OLLAMA_BASE_URL"));
        } else if !named {
            let egress = Egress::new(Settings::default()).context("could not ask the Ollama")?;
            let provider = Provider::ollama(Some(base));
            match client::runtime()?.block_on(models::there(&egress, &provider)).as_deref() {
                // It answers, but not to this: a run will say more.
                None => {}
                Some("") => printer.note(format_args!("this Ollama has no model: `ollama pull` gets one")),
                Some(there) => printer.note(format_args!("the models of this Ollama: {there}")),
            }
        }
    }
    if provider.is_some() && !named {
        printer.note(format_args!("no model is named yet"));
        printer.hint(format_args!("name one with `--model`, STIGMER_LLM_MODEL or `llm_model` in config.toml"));
    }
    Ok(())
}
