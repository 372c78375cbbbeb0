//! Which provider and model, and where its key is.

mod endpoint;

use std::io::IsTerminal;

use anyhow::Context as _;
use stigmer_daemon::gateway::discover::PROVIDERS;
use stigmer_daemon::gateway::{Facts, NoProvider, choose};
use stigmer_egress::Proxy;
use stigmer_sandbox::held::HeldSignals;
use stigmer_secrets::{
    Ask, Held, Keyring, KeyringError, Origin as KeyOrigin, PromptError, SecretCommand, SecretName, SecretValue,
    Terminal,
};

use crate::context::Context;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::{Key, Origin};
pub(crate) use endpoint::{address_of, check_endpoints, say_what_is_missing, warn_in_the_clear};

/// The model of a provider when nobody names one.
const DEFAULT_MODELS: &[(&str, &str)] = &[("anthropic", "claude-sonnet-4-5"), ("openai", "gpt-5.1")];
/// Variable that holds the key of whatever provider is in use.
const ANY_KEY: &str = "STIGMER_LLM_API_KEY";
/// Variables of the providers' own.
const OWN_KEYS: &[(&str, &str)] =
    &[("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY"), ("openai-compatible", "OPENAI_API_KEY")];

/// A key, and where it was found, in words.
pub(crate) struct FoundKey {
    pub(crate) value: SecretValue,
    pub(crate) origin: String,
}

/// Whether a provider cannot be asked without a key.
pub(crate) fn needs_key(provider: &str) -> bool {
    matches!(provider, "anthropic" | "openai")
}

/// Chooses provider and model and writes both into the settings with their origin; says why nothing was found otherwise.
///
/// Asks the keyring and a local Ollama only when nothing stronger decides. A provider that the settings have already, found
/// out by asking or taken over from the daemon, stays.
pub(crate) fn settle(
    context: &mut Context,
    keyring: &Keyring,
    printer: &Printer,
) -> Result<Result<(), NoProvider>, Failure> {
    let named = |origin: fn(&Origin) -> bool| {
        let provider = context.settings.get(Key::Provider).filter(|valued| origin(&valued.origin));
        provider.map(|valued| valued.value.clone())
    };
    let mut facts = Facts {
        flag: named(|origin| matches!(origin, Origin::Flag | Origin::Default)),
        environment: named(|origin| matches!(origin, Origin::Environment(_))),
        config: named(|origin| matches!(origin, Origin::Config)),
        ..Facts::default()
    };
    for (provider, variable) in OWN_KEYS {
        let compatible = *provider == "openai-compatible";
        // The same variable serves both; which of the two is said by the endpoint.
        let other_endpoint = context.settings.get(Key::OpenAiUrl).is_some();
        if context.variable(variable).is_some() && (*provider == "anthropic" || compatible == other_endpoint) {
            facts.environment_keys.push(((*provider).to_owned(), (*variable).to_owned()));
        }
    }
    facts.ollama_named = context.settings.get(Key::OllamaUrl).is_some();
    let decided = [&facts.flag, &facts.environment, &facts.config].iter().any(|named| named.is_some());
    if !decided && facts.environment_keys.is_empty() {
        for provider in PROVIDERS.iter().filter(|provider| needs_key(provider)) {
            let name = SecretName::new(*provider).context("a provider's name is no name of a secret")?;
            match keyring.get(&name) {
                Ok(Some(_)) => facts.keyring_keys.push((*provider).to_owned()),
                // That there is none is nothing to speak of as long as no key is missing; that it hangs is.
                Err(error @ KeyringError::GaveUp { .. }) => {
                    not_used(error, printer);
                    break;
                }
                Ok(None) | Err(_) => {}
            }
        }
        if facts.ollama_named || facts.keyring_keys.is_empty() {
            facts.ollama_answers = Some(endpoint::ollama(context)?);
        }
    }
    if facts.flag.as_deref() == Some("script") {
        let error = anyhow::anyhow!("the provider `script` is of one run, and needs its file");
        return Err(Failure::usage(error).hint(Some("`stigmer run --model script:FILE`".to_owned())));
    }
    let choice = match choose(&facts) {
        Ok(choice) => choice,
        Err(NoProvider::Nothing) => return Ok(Err(NoProvider::Nothing)),
        Err(error) => {
            let hint = error.hint();
            return Err(Failure::usage(error).hint(hint));
        }
    };
    if context.settings.get(Key::Provider).is_none() {
        let origin = match &choice.why {
            stigmer_daemon::gateway::Why::Key(KeyOrigin::Environment(name)) => {
                let known = OWN_KEYS.iter().find(|(_, variable)| variable == name);
                known.map_or(Origin::Default, |(_, variable)| Origin::Environment(variable))
            }
            _ => Origin::Default,
        };
        context.settings.set(Key::Provider, choice.provider.clone(), origin);
    }
    if context.settings.get(Key::Model).is_none()
        && let Some((_, model)) = DEFAULT_MODELS.iter().find(|(provider, _)| *provider == choice.provider)
    {
        context.settings.set(Key::Model, (*model).to_owned(), Origin::Default);
    }
    Ok(Ok(()))
}

/// The key in the environment; `None` when there is none.
pub(crate) fn environment_key(context: &Context, provider: &str) -> Result<Option<FoundKey>, Failure> {
    let own = OWN_KEYS.iter().find(|(name, _)| *name == provider).map(|(_, variable)| *variable);
    for variable in [Some(ANY_KEY), own].into_iter().flatten() {
        if let Some(text) = context.variable(variable) {
            let value = SecretValue::new(text)
                .with_context(|| format!("the value of {variable} cannot be a key"))
                .map_err(Failure::usage)?;
            return Ok(Some(FoundKey { value, origin: format!("environment {variable}") }));
        }
    }
    Ok(None)
}

/// Whether the environment has a key for a provider whose address `key` says.
pub(crate) fn has_key_at(context: &Context, key: Key) -> Result<bool, Failure> {
    let mut there = PROVIDERS.iter().filter(|name| address_of(Some(name)) == Some(key));
    there.try_fold(false, |found, name| Ok(found || environment_key(context, name)?.is_some()))
}

/// The key in the environment, in the keyring, or from `secret_command`; `None` when none of them has it.
pub(crate) fn stored_key(
    context: &Context,
    provider: &str,
    keyring: &Keyring,
    printer: &Printer,
) -> Result<Option<FoundKey>, Failure> {
    if let Some(key) = environment_key(context, provider)? {
        return Ok(Some(key));
    }
    if provider == "ollama" {
        return Ok(None);
    }
    let name =
        SecretName::new(provider).context("the provider's name is no name of a secret").map_err(Failure::usage)?;
    match keyring.get(&name) {
        Ok(Some(value)) => return Ok(Some(FoundKey { value, origin: KeyOrigin::Keyring.to_string() })),
        Ok(None) => {}
        // Where no key is needed, none is missed.
        Err(error) if needs_key(provider) => not_used(error, printer),
        Err(_) => {}
    }
    let Some(argv) = context.document.secret_command.as_ref().filter(|_| needs_key(provider)) else { return Ok(None) };
    let command =
        SecretCommand::new(argv.clone(), |name| context.person.environment.get(std::ffi::OsStr::new(name)).cloned())
            .and_then(|command| command.run(&name));
    let value = command.context("could not get the key").map_err(Failure::said_no)?;
    Ok(Some(FoundKey { value, origin: KeyOrigin::Command.to_string() }))
}

fn not_used(error: KeyringError, printer: &Printer) {
    let hint = error.hint();
    printer.note(format_args!("the OS keyring is not used: {:#}", anyhow::Error::from(error)));
    if let Some(hint) = hint {
        printer.hint(format_args!("{hint}"));
    }
}

/// Whether somebody sits at a terminal whom one could ask.
pub(crate) fn person_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for the key, shown as `*`, and offers to keep it in the keyring. `None`: the question was broken off.
pub(crate) fn ask_key(provider: &str, keyring: &Keyring, printer: &Printer) -> Result<Option<FoundKey>, Failure> {
    let name =
        SecretName::new(provider).context("the provider's name is no name of a secret").map_err(Failure::usage)?;
    let value = match terminal().ask(&name, &format!("API key for {provider} (Ctrl-D for none)")) {
        Ok(value) => value,
        Err(PromptError::Cancelled { .. }) => return Ok(None),
        Err(error) => {
            let hint = error.hint();
            return Err(Failure::said_no(error).hint(hint));
        }
    };
    // Only a keyring that has proved itself is offered.
    match keyring.probe() {
        Ok(()) => {
            if printer.confirm("Keep it in the OS keyring?") {
                match keyring.set(&name, &value) {
                    Ok(()) => {
                        return Ok(Some(FoundKey { value, origin: "typed in, kept in the OS keyring".to_owned() }));
                    }
                    Err(error) => printer.note(format_args!("{:#}", anyhow::Error::from(error))),
                }
            }
        }
        Err(error) => {
            printer.note(format_args!("the key is kept for this daemon's life only: {:#}", anyhow::Error::from(error)))
        }
    }
    Ok(Some(FoundKey { value, origin: KeyOrigin::Prompt.to_string() }))
}

/// The person's terminal: signals wait until it shows again what is typed.
pub(crate) fn terminal() -> Terminal {
    Terminal::of_process(|numbers| Ok(Box::new(Waiting(HeldSignals::hold(numbers)?))))
}

struct Waiting(HeldSignals);

impl Held for Waiting {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.fd()
    }

    fn take(&self) -> Vec<i32> {
        self.0.take()
    }
}

/// No key, and nobody to ask for one.
pub(crate) fn no_key(provider: &str) -> Failure {
    let own = OWN_KEYS.iter().find(|(name, _)| *name == provider).map_or(ANY_KEY, |(_, variable)| variable);
    let error = anyhow::anyhow!("there is no key for `{provider}`, and no terminal to ask for one");
    Failure::said_no(error).hint(Some(format!("set {own}, or run `stigmer secret set {provider}` at a terminal")))
}

/// The variable that names a proxy, and its value.
pub(crate) fn proxy_variable(context: &Context) -> Option<(&'static str, &str)> {
    ["HTTPS_PROXY", "https_proxy"].into_iter().find_map(|name| Some((name, context.variable(name)?)))
}

/// HTTPS_PROXY and NO_PROXY of the person.
pub(crate) fn proxy(context: &Context) -> Result<Option<(String, String)>, Failure> {
    let Some((_, url)) = proxy_variable(context) else { return Ok(None) };
    let bypass = ["NO_PROXY", "no_proxy"].iter().find_map(|name| context.variable(name)).unwrap_or_default();
    // Read here once, so that a wrong one is said where it was set.
    Proxy::parse(url, bypass).map_err(|error| {
        let hint = error.hint();
        Failure::usage(anyhow::Error::from(error).context("HTTPS_PROXY cannot be used")).hint(hint)
    })?;
    Ok(Some((url.to_owned(), bypass.to_owned())))
}
