//! `stigmer secret delete`.

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use stigmer_proto::local::DeleteSecretRequest;
use stigmer_secrets::{Keyring, SecretName};

use crate::client::{self, failed};
use crate::failure::Failure;
use crate::person;
use crate::printer::Printer;

/// Forgets a key: in the OS keyring and in the daemon
#[derive(clap::Args)]
pub(crate) struct DeleteCommand {
    /// Its name
    name: String,
}

impl DeleteCommand {
    pub(crate) fn execute(self, printer: &Printer) -> Result<ExitCode, Failure> {
        let name =
            SecretName::new(&self.name).context("this cannot be the name of a secret").map_err(Failure::usage)?;
        let in_keyring = match Keyring::of_system().delete(&name) {
            Ok(existed) => existed,
            Err(error) => {
                printer.note(format_args!("{:#}", anyhow::Error::from(error)));
                false
            }
        };
        let socket = client::socket(&person::gather()?.stigmer_home);
        let in_daemon = match client::listener(&socket)? {
            None => false,
            Some(_) => client::runtime()?.block_on(async {
                let mut daemon = client::connect(&socket).await?;
                let reply = daemon.delete_secret(DeleteSecretRequest { name: name.to_string() }).await;
                Ok::<_, Failure>(reply.map_err(|status| failed("could not delete", &status))?.into_inner().existed)
            })?,
        };
        if !in_keyring && !in_daemon {
            return Err(Failure::said_no(anyhow!("there is no secret `{name}`")));
        }
        printer.line(format_args!("forgot `{name}`"));
        Ok(ExitCode::SUCCESS)
    }
}
