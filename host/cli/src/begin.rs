//! Starting a daemon: what `local start`, `local restart` and a `run` without a daemon have in common.

use anyhow::Context as _;
use stigmer_proto::local::SetSecretRequest;
use stigmer_secrets::Keyring;

use crate::client::{self, failed};
use crate::context::Context;
use crate::failure::Failure;
use crate::orders::{Answer, Orders, Sandbox};
use crate::printer::Printer;
use crate::provider::{self, FoundKey};
use crate::settings::Key;
use crate::standing::{self, Proved};
use crate::start;

/// The origin of what nobody gave and what has no default.
pub(crate) const NOT_SET: &str = "not set";

/// What was started.
pub(crate) struct Begun {
    pub(crate) pid: u32,
    pub(crate) proved: Proved,
    pub(crate) kind: &'static str,
    /// Where the key came from; `None`: there is none, or none is needed.
    pub(crate) key_origin: Option<String>,
    /// No provider was found.
    pub(crate) no_provider: Option<String>,
}

/// How the provider is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Find provider and key, ask a person where one is missing.
    Find,
    /// None is needed: the run brings its own model.
    Leave,
}

/// Proves the walls, settles provider and key, starts the daemon, hands it the key. The process must have one thread.
pub(crate) fn begin(context: &mut Context, keys: Keys, printer: &Printer) -> Result<Begun, Failure> {
    let sandbox = context.sandbox()?;
    // Before anything shows them: an address with a password in it is no address here.
    provider::check_endpoints(context)?;
    let proved = standing::prove(&sandbox, &context.person, printer)?;
    let keyring = Keyring::of_system();
    let (key, no_provider) = match keys {
        Keys::Find => find(context, &keyring, printer)?,
        Keys::Leave => (None, None),
    };
    if keys == Keys::Find {
        provider::say_what_is_missing(context, printer)?;
        provider::warn_in_the_clear(context, printer)?;
    }
    if let Some(typed) = context.settings.get(Key::Workspace).cloned()
        && let Ok(resolved) = std::path::absolute(&typed.value)
    {
        // As typed it would mean something else in another folder.
        context.settings.set(Key::Workspace, resolved.display().to_string(), typed.origin);
    }
    let orders = Orders {
        stigmer_home: context.person.stigmer_home.clone(),
        home: context.person.home.clone(),
        settings: effective(context),
        sandbox: Sandbox {
            kind: sandbox.kind.name().to_owned(),
            level: proved.level,
            proved: proved.layers.iter().map(|layer| layer.name().to_owned()).collect(),
            not_prevented: proved.not_prevented.clone(),
        },
        proxy: provider::proxy(context)?,
        extra_roots: context.variable("SSL_CERT_FILE").map(Into::into),
    };
    let pid = match start::daemon(&orders)? {
        Answer::Ready { pid } => pid,
        Answer::Held { pid } => {
            let error = anyhow::anyhow!("another daemon has `{}` (pid {pid})", context.person.stigmer_home.display());
            return Err(Failure::ours(error).hint(Some("`stigmer local status` speaks with it".to_owned())));
        }
        Answer::Failed { message } => {
            return Err(Failure::ours(anyhow::anyhow!(message).context("the daemon did not start")));
        }
    };
    let key_origin = key.as_ref().map(|key| key.origin.clone());
    if let (Some(key), Some(provider)) = (key, context.settings.value(Key::Provider)) {
        hand_over(context, provider, key)?;
    }
    Ok(Begun { pid, proved, kind: sandbox.kind.name(), key_origin, no_provider })
}

/// Every setting with its origin, for `local status`; one that is not set has no value. Nothing of it is a secret.
fn effective(context: &Context) -> Vec<(String, String, String)> {
    let row = |name: &str, found: Option<(String, String)>| {
        let (value, origin) = found.unwrap_or_else(|| (String::new(), NOT_SET.to_owned()));
        (name.to_owned(), value, origin)
    };
    let settings = context.settings.all();
    let settings = settings.map(|(setting, valued)| {
        row(setting.name, valued.map(|valued| (valued.value.clone(), valued.origin.to_string())))
    });
    let from = |name: &str| format!("environment {name}");
    let home = context.person.stigmer_home.display().to_string();
    let home = (home, context.variable("STIGMER_HOME").map_or("default".to_owned(), |_| from("STIGMER_HOME")));
    let roots = context.variable("SSL_CERT_FILE").map(|file| (file.to_owned(), from("SSL_CERT_FILE")));
    // Its value may hold a password.
    let proxy = provider::proxy_variable(context).map(|(name, _)| ("set".to_owned(), from(name)));
    settings.chain([row("home", Some(home)), row("certificates", roots), row("proxy", proxy)]).collect()
}

type Found = (Option<FoundKey>, Option<String>);

fn find(context: &mut Context, keyring: &Keyring, printer: &Printer) -> Result<Found, Failure> {
    let person = provider::person_is_there();
    if let Err(nothing) = provider::settle(context, keyring, printer)? {
        if !person {
            return Ok((None, nothing.hint()));
        }
        // Whoever sits there most likely has a key for the first of the list.
        printer.note(format_args!("no provider is named, no key is found, and no Ollama answers"));
        printer.hint(format_args!("for another than Anthropic: Ctrl-D, then `--provider openai`, or start Ollama"));
        let Some(key) = provider::ask_key("anthropic", keyring, printer)? else { return Ok((None, nothing.hint())) };
        context.settings.set(Key::Provider, "anthropic".to_owned(), crate::settings::Origin::Default);
        let settled = provider::settle(context, keyring, printer)?;
        settled.context("no provider was found")?;
        return Ok((Some(key), None));
    }
    let name = context.settings.value(Key::Provider).unwrap_or_default().to_owned();
    match provider::stored_key(context, &name, keyring, printer)? {
        Some(key) => Ok((Some(key), None)),
        None if !provider::needs_key(&name) => Ok((None, None)),
        None if !person => Err(provider::no_key(&name)),
        None => match provider::ask_key(&name, keyring, printer)? {
            Some(key) => Ok((Some(key), None)),
            None => Ok((None, Some(format!("`{name}` needs a key: `stigmer secret set {name}`")))),
        },
    }
}

fn hand_over(context: &Context, provider: &str, key: FoundKey) -> Result<(), Failure> {
    let socket = client::socket(&context.person.stigmer_home);
    let request = SetSecretRequest {
        name: provider.to_owned(),
        value: key.value.expose().as_bytes().to_vec(),
        origin: key.origin,
    };
    client::runtime()?.block_on(async {
        let mut daemon = client::connect(&socket).await?;
        daemon.set_secret(request).await.map_err(|status| failed("could not hand the key over", &status))?;
        Ok(())
    })
}
