//! The request of a run, put together from flags, settings and the person's surroundings.
#![expect(clippy::disallowed_methods, reason = "files that the person named on the command line")]

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use stigmer_policy::environment;
use stigmer_proto::local::{self as wire, ListSecretsRequest, StatusRequest};
use stigmer_sandbox::prepare::check_workspace;
use stigmer_secrets::Keyring;

use super::{Approve, RunCommand};
use crate::client::{Daemon, failed};
use crate::context::Context;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::provider::{self, FoundKey};
use crate::settings::{Key, Origin};

/// Longest message, in bytes; the daemon takes no longer one.
const MAX_MESSAGE: u64 = stigmer_daemon::request::MAX_MESSAGE as u64;
/// Longest script or policy that is read, in bytes.
const MAX_TEXT: u64 = 1 << 20;
/// Settings that say where a provider is.
const ENDPOINTS: [Key; 3] = [Key::OllamaUrl, Key::AnthropicUrl, Key::OpenAiUrl];
/// What a model is named that is a script.
const SCRIPT: &str = "script:";

/// A request that lacks only what the daemon's state decides.
pub(super) struct Draft {
    request: wire::RunRequest,
    script: bool,
    pub(super) approve: Approve,
}

impl Draft {
    pub(super) fn new(command: &RunCommand, context: &Context) -> Result<Draft, Failure> {
        let root = context.settings.value(Key::Workspace).unwrap_or(".");
        let workspace = check_workspace(Path::new(root), &context.person).map_err(|error| {
            let hint = error.hint();
            Failure::usage(error).hint(hint)
        })?;
        let script = match command.model.as_deref().and_then(|model| model.strip_prefix(SCRIPT)) {
            Some(_) if command.provider.as_deref().is_some_and(|provider| provider != "script") => {
                return Err(Failure::usage(anyhow!(
                    "`--model script:FILE` is a provider of its own: leave `--provider` out"
                )));
            }
            Some(file) => Some(text(Path::new(file), "the script")?),
            None => None,
        };
        let there = provider::person_is_there();
        let approve = command.approve.unwrap_or(if there { Approve::Ask } else { Approve::Deny });
        let policy = command.policy.as_deref().map(|file| text(file, "the policy")).transpose()?.unwrap_or_default();
        let request = wire::RunRequest {
            workspace: workspace.to_string_lossy().into_owned(),
            message: message(&command.message)?,
            skill_dirs: command.skill.iter().map(|folder| absolute(folder)).collect::<Result<_, _>>()?,
            plugins: command.plugin.iter().map(|typed| plugin(typed)).collect::<Result<_, _>>()?,
            approve: match approve {
                Approve::Ask => wire::ApproveMode::Ask,
                Approve::Auto => wire::ApproveMode::Auto,
                Approve::Deny => wire::ApproveMode::Deny,
            }
            .into(),
            level: command.level.clone().unwrap_or_default(),
            sandbox: command.sandbox.clone().unwrap_or_default(),
            script: script.clone().unwrap_or_default().into_bytes(),
            max_turns: command.max_turns.unwrap_or_default(),
            max_tokens: command.max_tokens.unwrap_or_default(),
            policy,
            command_env: surroundings(context),
            ..wire::RunRequest::default()
        };
        Ok(Draft { request, script: script.is_some(), approve })
    }

    pub(super) fn scripted(&self) -> bool {
        self.script
    }

    pub(super) fn workspace(&self) -> &str {
        &self.request.workspace
    }

    /// Goes on with the conversation of `earlier`, and with its model where this run names none.
    pub(super) fn go_on_from(&mut self, earlier: wire::Execution, context: &mut Context) -> Result<(), Failure> {
        self.request.resume = earlier.id;
        let typed = |key: Key| context.settings.get(key).is_some_and(|valued| valued.origin == Origin::Flag);
        if self.script || typed(Key::Model) || typed(Key::Provider) {
            return Ok(());
        }
        if earlier.provider == "script" {
            let error = anyhow!("the model of `{}` was a script, which has been played", self.request.resume);
            let hint = "name a model to go on with: `--model script:FILE`, or `--provider` and `--model`";
            return Err(Failure::usage(error).hint(Some(hint.to_owned())));
        }
        context.settings.set(Key::Provider, earlier.provider, Origin::Flag);
        context.settings.set(Key::Model, earlier.model, Origin::Flag);
        Ok(())
    }

    /// Settles provider, model and key: what was typed or set here, else what the daemon was started with.
    pub(super) fn settle(&mut self, context: &mut Context, known: &Known, printer: &Printer) -> Result<(), Failure> {
        if self.script {
            (self.request.provider, self.request.model) = ("script".to_owned(), "scripted".to_owned());
            return Ok(());
        }
        known.take_over(context)?;
        self.request.settings = endpoints(context);
        let (provider, key) = find(context, known, printer)?;
        let model = context.settings.value(Key::Model).map(str::to_owned).ok_or_else(|| {
            let hint = "name one with `--model`, STIGMER_LLM_MODEL or `llm_model` in config.toml".to_owned();
            Failure::usage(anyhow!("the provider `{provider}` needs the name of a model")).hint(Some(hint))
        })?;
        (self.request.provider, self.request.model) = (provider, model);
        if key.is_none() {
            known.say_another_address(context, printer);
        }
        if let Some(key) = key {
            self.request.api_key = key.value.expose().as_bytes().to_vec();
            self.request.api_key_origin = key.origin;
        }
        Ok(())
    }

    pub(super) fn into_request(self) -> wire::RunRequest {
        self.request
    }
}

/// What the daemon has already.
pub(super) struct Known {
    provider: Option<String>,
    model: Option<String>,
    endpoints: Vec<(Key, String)>,
    keys: Vec<String>,
}

impl Known {
    pub(super) async fn ask(daemon: &mut Daemon) -> Result<Known, Failure> {
        let status = daemon.status(StatusRequest {}).await;
        let status =
            status.map_err(|status| failed("could not ask the daemon for its settings", &status))?.into_inner();
        let secrets = daemon.list_secrets(ListSecretsRequest {}).await;
        let secrets = secrets.map_err(|status| failed("could not ask the daemon for its keys", &status))?.into_inner();
        let value = |key: Key| {
            let name = crate::settings::row(key).name;
            let found = status.settings.iter().find(|setting| setting.name == name && !setting.value.is_empty());
            found.map(|setting| setting.value.clone())
        };
        let keys = secrets.secrets.into_iter().map(|secret| secret.name).collect();
        let endpoints = ENDPOINTS.into_iter().filter_map(|key| Some((key, value(key)?))).collect();
        Ok(Known { provider: value(Key::Provider), model: value(Key::Model), endpoints, keys })
    }

    /// A key that the daemon has was given for the address that it had then: that it goes to another one is said.
    fn say_another_address(&self, context: &Context, printer: &Printer) {
        let provider = context.settings.value(Key::Provider);
        let Some(key) =
            provider::address_of(provider).filter(|_| self.keys.iter().any(|name| Some(&**name) == provider))
        else {
            return;
        };
        let here = context.settings.value(key);
        let there = self.endpoints.iter().find(|(known, _)| *known == key).map(|(_, url)| url.as_str());
        if let Some(url) = here.filter(|_| here != there) {
            let name = crate::settings::row(key).variables[0];
            printer.note(format_args!("{name} sends this run, with the key that the daemon has, to `{url}`"));
        }
    }

    /// What was said when the daemon was started holds for a run that says nothing itself. Addresses too, for a run that
    /// has no key of its own: a key that was given with one address is not meant for another.
    fn take_over(&self, context: &mut Context) -> Result<(), Failure> {
        for (key, url) in &self.endpoints {
            if context.settings.get(*key).is_none() && !provider::has_key_at(context, *key)? {
                context.settings.set(*key, url.clone(), Origin::Default);
            }
        }
        let own = context.settings.value(Key::Provider).map(str::to_owned);
        let Some(provider) = &self.provider else { return Ok(()) };
        if own.is_none() {
            context.settings.set(Key::Provider, provider.clone(), Origin::Default);
        }
        if own.is_none_or(|own| own == *provider)
            && context.settings.get(Key::Model).is_none()
            && let Some(model) = &self.model
        {
            context.settings.set(Key::Model, model.clone(), Origin::Default);
        }
        Ok(())
    }
}

fn find(context: &mut Context, known: &Known, printer: &Printer) -> Result<(String, Option<FoundKey>), Failure> {
    let keyring = Keyring::of_system();
    if let Err(nothing) = provider::settle(context, &keyring, printer)? {
        let hint = nothing.hint();
        return Err(Failure::said_no(nothing).hint(hint));
    }
    let name = context.settings.value(Key::Provider).unwrap_or_default().to_owned();
    // What the daemon has needs no look into the keyring, which may be slow.
    let key = match provider::environment_key(context, &name)? {
        None if known.keys.contains(&name) => return Ok((name, None)),
        None => provider::stored_key(context, &name, &keyring, printer)?,
        key => key,
    };
    if key.is_some() || !provider::needs_key(&name) {
        return Ok((name, key));
    }
    if !provider::person_is_there() {
        return Err(provider::no_key(&name));
    }
    match provider::ask_key(&name, &keyring, printer)? {
        Some(key) => Ok((name, Some(key))),
        None => Err(provider::no_key(&name)),
    }
}

fn message(typed: &str) -> Result<String, Failure> {
    let text = if typed == "-" {
        let mut text = String::new();
        let read = std::io::stdin().lock().take(MAX_MESSAGE + 1).read_to_string(&mut text);
        read.context("could not read the message from stdin").map_err(Failure::usage)?;
        text
    } else {
        typed.to_owned()
    };
    if text.trim().is_empty() {
        return Err(Failure::usage(anyhow!("the message is empty")));
    }
    if text.len() as u64 > MAX_MESSAGE {
        return Err(Failure::usage(anyhow!("the message is longer than {MAX_MESSAGE} bytes")));
    }
    Ok(text)
}

fn text(file: &Path, what: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(MAX_TEXT + 1).read_to_string(&mut text));
    read.with_context(|| format!("could not read {what} `{}`", file.display())).map_err(Failure::usage)?;
    if text.len() as u64 > MAX_TEXT {
        return Err(Failure::usage(anyhow!("{what} `{}` is longer than {MAX_TEXT} bytes", file.display())));
    }
    Ok(text)
}

fn absolute(path: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(path).with_context(|| format!("`{}` is no path", path.display()));
    let path = path.map_err(Failure::usage)?;
    path.to_str().map(str::to_owned).ok_or_else(|| Failure::usage(anyhow!("`{}` is not UTF-8", path.display())))
}

/// `FILE`, `FILE:ro` or `FILE:rw`; its tools are named after the file.
fn plugin(typed: &str) -> Result<wire::Plugin, Failure> {
    let (file, read_only) = match typed.rsplit_once(':') {
        Some((file, "ro")) => (file, true),
        Some((file, "rw")) => (file, false),
        _ => (typed, false),
    };
    let path = absolute(Path::new(file))?;
    Ok(wire::Plugin { name: crate::plugin::name_of(&PathBuf::from(&path)), path, read_only })
}

/// Endpoints that this run's provider may be asked at.
fn endpoints(context: &Context) -> Vec<wire::Setting> {
    let endpoint = |key: Key| {
        let valued = context.settings.get(key)?;
        let name = crate::settings::row(key).variables[0].to_owned();
        Some(wire::Setting { name, value: valued.value.clone(), origin: valued.origin.to_string() })
    };
    ENDPOINTS.into_iter().filter_map(endpoint).collect()
}

/// The variables that commands may get. Everything else of the person's stays here; the daemon chooses again.
fn surroundings(context: &Context) -> Vec<wire::EnvVar> {
    let given = context.environment.iter().filter(|(name, _)| environment::is_always(name));
    given.map(|(name, value)| wire::EnvVar { name: name.clone(), value: value.clone() }).collect()
}
