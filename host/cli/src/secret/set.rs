//! `stigmer secret set`.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use stigmer_proto::local::SetSecretRequest;
use stigmer_secrets::value::MAX_VALUE;
use stigmer_secrets::{Ask, Keyring, SecretName, SecretValue};

use crate::client::{self, failed};
use crate::failure::Failure;
use crate::person;
use crate::printer::Printer;
use crate::provider;

/// Keeps a key: in the OS keyring where there is one, and in the daemon while it runs
///
/// Asks at the terminal without showing what is typed; in a pipe it reads stdin.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stigmer secret set anthropic\n  pass show anthropic | stigmer secret set anthropic"
)]
pub(crate) struct SetCommand {
    /// Name of the provider
    name: String,
}

impl SetCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let name =
            SecretName::new(&self.name).context("this cannot be the name of a secret").map_err(Failure::usage)?;
        let value = if std::io::stdin().is_terminal() {
            provider::terminal().ask(&name, &format!("Key for {name}")).map_err(|error| {
                let hint = error.hint();
                Failure::said_no(error).hint(hint)
            })?
        } else {
            read_stdin()?
        };
        let keyring = Keyring::of_system();
        let kept = keyring.set(&name, &value);
        let socket = client::socket(&person::gather()?.stigmer_home);
        let running = client::listener(&socket)?.is_some();
        if running {
            let origin = if kept.is_ok() { "OS keyring" } else { "typed in" };
            let value = value.expose().as_bytes().to_vec();
            let request = SetSecretRequest { name: name.to_string(), value, origin: origin.to_owned() };
            client::runtime()?.block_on(async {
                let mut daemon = client::connect(&socket).await?;
                daemon.set_secret(request).await.map_err(|status| failed("could not keep the secret", &status))?;
                Ok::<_, Failure>(())
            })?;
        }
        match kept {
            Ok(()) => printer.line(format_args!("kept `{name}` in the OS keyring")),
            Err(error) if running => {
                printer.line(format_args!("kept `{name}` for this daemon's life"));
                printer.note(format_args!("{:#}", anyhow::Error::from(error)));
            }
            Err(error) => {
                let hint = error.hint();
                let error = anyhow::Error::from(error).context("no keyring took it and no daemon runs to keep it");
                return Err(Failure::said_no(error).hint(hint));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn read_stdin() -> Result<SecretValue, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_VALUE as u64 + 2).read_to_string(&mut text);
    read.context("could not read the key from stdin").map_err(Failure::usage)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::usage(anyhow!("stdin is empty")));
    }
    SecretValue::new(text).context("what came on stdin cannot be a key").map_err(Failure::usage)
}
