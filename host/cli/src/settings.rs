//! Settings: flag, then environment, then `config.toml`, then default. Each value remembers where it came from.

mod document;
mod sandbox;
#[cfg(test)]
mod tests;
mod variables;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

pub(crate) use document::Document;
pub(crate) use sandbox::{SandboxConfig, sandbox_config};
use variables::SETTINGS;
pub(crate) use variables::{Key, Row, reference, row};

/// Where a value came from, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// Typed.
    Flag,
    /// This variable.
    Environment(&'static str),
    /// The file in `STIGMER_HOME`.
    Config,
    /// Nobody said otherwise.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag => f.write_str("flag"),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Config => f.write_str("config.toml"),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Valued {
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

/// What was typed, by setting.
pub(crate) type Flags = BTreeMap<Key, String>;

/// Every effective setting. A setting that nobody gave and that has no default is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings(BTreeMap<Key, Valued>);

impl Settings {
    /// Picks each setting from the strongest source that has it. Empty text counts as not given. Pure: the same sources
    /// give the same settings.
    pub(crate) fn resolve(
        flags: &Flags,
        environment: &BTreeMap<String, String>,
        document: &Document,
        stigmer_home: &Path,
    ) -> Settings {
        let pick = |row: &'static Row| {
            let given = |text: &&String| !text.is_empty();
            let valued = |origin| move |value: &String| Valued { value: value.clone(), origin };
            let flag = flags.get(&row.key).filter(given).map(valued(Origin::Flag));
            let variable = || {
                row.variables.iter().find_map(|variable| {
                    let found = environment.get(*variable).filter(given)?;
                    (variables::counts(variable, found)).then(|| valued(Origin::Environment(variable))(found))
                })
            };
            let config = || document.get(row.key).filter(given).map(valued(Origin::Config));
            let default = || {
                let value = match row.key {
                    Key::Endpoint => format!("unix://{}", stigmer_home.join("daemon.sock").display()),
                    _ => row.default?.to_owned(),
                };
                Some(Valued { value, origin: Origin::Default })
            };
            Some((row.key, flag.or_else(variable).or_else(config).or_else(default)?))
        };
        Settings(SETTINGS.iter().filter_map(pick).collect())
    }

    /// One setting.
    pub(crate) fn get(&self, key: Key) -> Option<&Valued> {
        self.0.get(&key)
    }

    /// The value of one setting.
    pub(crate) fn value(&self, key: Key) -> Option<&str> {
        self.get(key).map(|valued| valued.value.as_str())
    }

    /// Every setting, in the order of the table; `None` for one that nobody gave and that has no default.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static Row, Option<&Valued>)> {
        SETTINGS.iter().map(|row| (row, self.0.get(&row.key)))
    }

    /// Puts a value in place that was found out rather than given.
    pub(crate) fn set(&mut self, key: Key, value: String, origin: Origin) {
        self.0.insert(key, Valued { value, origin });
    }
}
