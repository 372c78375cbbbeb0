//! What every verb that needs settings begins with.

use std::collections::BTreeMap;

use stigmer_sandbox::prepare::Person;

use crate::failure::Failure;
use crate::person;
use crate::settings::{Document, Flags, SandboxConfig, Settings, sandbox_config};

/// The person, their environment as text, their file, and what comes of it.
pub(crate) struct Context {
    pub(crate) person: Person,
    /// Variables whose value is text; others cannot be settings of ours.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) document: Document,
    pub(crate) settings: Settings,
}

impl Context {
    /// Reads environment and `config.toml` and settles every setting.
    pub(crate) fn gather(flags: &Flags) -> Result<Context, Failure> {
        let person = person::gather()?;
        let text = |(name, value): (&std::ffi::OsString, &std::ffi::OsString)| {
            Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
        };
        let environment: BTreeMap<_, _> = person.environment.iter().filter_map(text).collect();
        let document = Document::read(&person.stigmer_home.join("config.toml")).map_err(|error| {
            let hint = error.hint();
            Failure::usage(error).hint(hint)
        })?;
        let settings = Settings::resolve(flags, &environment, &document, &person.stigmer_home);
        Ok(Context { person, environment, document, settings })
    }

    /// The sandbox that the settings describe.
    pub(crate) fn sandbox(&self) -> Result<SandboxConfig, Failure> {
        let own = format!("unix://{}", self.person.stigmer_home.join("daemon.sock").display());
        let set = |name: &str| self.environment.get(name).is_some_and(|value| !value.is_empty());
        sandbox_config(&self.settings, &own, set).map_err(|error| {
            let hint = error.hint();
            Failure::usage(error).hint(hint)
        })
    }

    /// A variable that is set to something.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}
