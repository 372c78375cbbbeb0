//! The order in which sources are asked.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::command::{SecretCommand, SecretCommandError};
use crate::keyring::{Keyring, KeyringError};
use crate::name::SecretName;
use crate::prompt::{Ask, PromptError};
use crate::value::SecretValue;

/// Where a secret came from. Shown to the person, stored in records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// An environment variable of the person's, by its name.
    Environment(String),
    /// The OS keyring.
    Keyring,
    /// `secret_command`.
    Command,
    /// Typed by the person.
    Prompt,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Environment(name) => write!(f, "environment variable `{name}`"),
            Origin::Keyring => f.write_str("OS keyring"),
            Origin::Command => f.write_str("secret_command"),
            Origin::Prompt => f.write_str("typed in"),
        }
    }
}

/// The sources that are there, asked in the order of the fields. What is `None` is not asked.
#[derive(Default)]
pub struct Sources<'a> {
    /// Value of an environment variable, read by the caller, and the variable's name.
    pub environment: Option<(String, SecretValue)>,
    /// The keyring; it has its own time limit.
    pub keyring: Option<&'a Keyring>,
    /// `secret_command`.
    pub command: Option<&'a SecretCommand>,
    /// Someone to ask, and the question (`API key for Anthropic`).
    pub ask: Option<(&'a dyn Ask, String)>,
}

/// A secret and where it came from.
#[derive(Debug)]
pub struct Found {
    /// The value.
    pub value: SecretValue,
    /// Which source answered.
    pub origin: Origin,
    /// The sources before it, and why each had nothing; to be shown, since a broken keyring should not go unnoticed.
    pub passed: Vec<Passed>,
}

/// Why a source gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Passed {
    /// The keyring has no such entry.
    #[error("the keyring has no entry `{0}`")]
    NotInKeyring(SecretName),
    /// The keyring failed.
    #[error("could not ask the keyring")]
    Keyring(#[source] KeyringError),
    /// The command failed.
    #[error("could not ask `secret_command`")]
    Command(#[source] SecretCommandError),
    /// The prompt failed.
    #[error("could not ask the person")]
    Prompt(#[source] PromptError),
}

/// No source had the secret.
#[derive(Debug, thiserror::Error)]
#[error("no source has the secret `{name}`")]
pub struct NotFound {
    /// The secret.
    pub name: SecretName,
    /// The sources that were asked, in order, and why each had nothing.
    pub passed: Vec<Passed>,
}

impl NotFound {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let from_prompt = self.passed.iter().find_map(|passed| match passed {
            Passed::Prompt(error) => error.hint(),
            _ => None,
        });
        from_prompt.or_else(|| {
            let name = &self.name;
            Some(format!("store it with `stigmer secret set {name}`, or set the provider's environment variable"))
        })
    }

    /// Whether the person broke the question off, so that nothing needs to be explained.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.passed.last(), Some(Passed::Prompt(PromptError::Cancelled { .. })))
    }
}

/// Asks the sources in order: environment variable, keyring, `secret_command`, the person. Blocks.
///
/// # Errors
/// [`NotFound`], with the reason of each source.
pub fn find(name: &SecretName, sources: Sources<'_>) -> Result<Found, NotFound> {
    let mut passed = Vec::new();
    if let Some((variable, value)) = sources.environment {
        return Ok(Found { value, origin: Origin::Environment(variable), passed });
    }
    match sources.keyring.map(|keyring| keyring.get(name)) {
        Some(Ok(Some(value))) => return Ok(Found { value, origin: Origin::Keyring, passed }),
        Some(Ok(None)) => passed.push(Passed::NotInKeyring(name.clone())),
        Some(Err(error)) => passed.push(Passed::Keyring(error)),
        None => {}
    }
    match sources.command.map(|command| command.run(name)) {
        Some(Ok(value)) => return Ok(Found { value, origin: Origin::Command, passed }),
        Some(Err(error)) => passed.push(Passed::Command(error)),
        None => {}
    }
    match sources.ask.map(|(ask, question)| ask.ask(name, &question)) {
        Some(Ok(value)) => return Ok(Found { value, origin: Origin::Prompt, passed }),
        Some(Err(error)) => passed.push(Passed::Prompt(error)),
        None => {}
    }
    Err(NotFound { name: name.clone(), passed })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::keyring::tests::{Hanging, Memory};

    struct Person;
    impl Ask for Person {
        fn ask(&self, _: &SecretName, _: &str) -> Result<SecretValue, PromptError> {
            Ok(SecretValue::new("from-person").unwrap())
        }
    }
    struct Nobody;
    impl Ask for Nobody {
        fn ask(&self, name: &SecretName, _: &str) -> Result<SecretValue, PromptError> {
            Err(PromptError::NoTerminal { name: name.clone() })
        }
    }

    fn name() -> SecretName {
        SecretName::new("anthropic").unwrap()
    }

    fn command(script: &str) -> SecretCommand {
        SecretCommand::new(["/bin/sh", "-c", script].map(str::to_owned).to_vec(), |_| None).unwrap()
    }

    #[test]
    fn each_source_answers_when_those_before_it_are_silent() {
        let keyring = Keyring::new(Arc::new(Memory::default()), Duration::from_secs(60));
        let printing = command("echo from-command");
        let failing = command("exit 1");
        let person = || Some((&Person as &dyn Ask, "key".to_owned()));

        let sources = Sources { keyring: Some(&keyring), command: Some(&failing), ask: person(), ..Sources::default() };
        let found = find(&name(), sources).unwrap();
        assert_eq!((found.value.expose(), &found.origin, found.passed.len()), ("from-person", &Origin::Prompt, 2));

        let sources =
            Sources { keyring: Some(&keyring), command: Some(&printing), ask: person(), ..Sources::default() };
        assert_eq!(find(&name(), sources).unwrap().origin, Origin::Command);

        keyring.set(&name(), &SecretValue::new("from-keyring").unwrap()).unwrap();
        let sources =
            Sources { keyring: Some(&keyring), command: Some(&printing), ask: person(), ..Sources::default() };
        assert_eq!(find(&name(), sources).unwrap().origin, Origin::Keyring);

        let environment = Some(("ANTHROPIC_API_KEY".to_owned(), SecretValue::new("from-env").unwrap()));
        let sources = Sources { environment, keyring: Some(&keyring), command: Some(&printing), ask: person() };
        let found = find(&name(), sources).unwrap();
        assert_eq!(found.value.expose(), "from-env");
        assert_eq!(found.origin.to_string(), "environment variable `ANTHROPIC_API_KEY`");
    }

    #[test]
    fn a_hanging_keyring_is_passed_and_named() {
        let (_hold, gate) = std::sync::mpsc::sync_channel(1);
        let hanging = Keyring::new(Arc::new(Hanging(gate.into())), Duration::from_millis(30));
        let sources = Sources { keyring: Some(&hanging), ask: Some((&Person, "key".to_owned())), ..Sources::default() };
        let found = find(&name(), sources).unwrap();
        assert!(matches!(found.passed[..], [Passed::Keyring(KeyringError::GaveUp { .. })]));
    }

    #[test]
    fn nothing_anywhere_says_what_was_tried_and_what_to_do() {
        let sources = Sources { ask: Some((&Nobody, "key".to_owned())), ..Sources::default() };
        let error = find(&name(), sources).unwrap_err();
        assert_eq!(error.to_string(), "no source has the secret `anthropic`");
        assert!(error.hint().unwrap().contains("stigmer secret set anthropic"));
        assert!(find(&name(), Sources::default()).unwrap_err().hint().is_some());
    }
}
