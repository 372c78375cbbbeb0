//! Which sandbox the settings describe.

use std::path::PathBuf;

use stigmer_policy::Level;

use super::{Key, Settings, Valued};

/// Where agents run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// This machine.
    Local,
    /// Named, not built.
    Cloud,
}

/// Kind of sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SandboxKind {
    /// Jail, cap-std files, WASI.
    Wasi,
    /// cap-std files and WASI only.
    Filesystem,
}

impl SandboxKind {
    /// The name on the command line and in records.
    pub(crate) fn name(self) -> &'static str {
        match self {
            SandboxKind::Wasi => "wasi",
            SandboxKind::Filesystem => "filesystem",
        }
    }
}

/// A sandbox to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SandboxConfig {
    pub(crate) kind: SandboxKind,
    /// `None`: the best that this machine holds.
    pub(crate) level: Option<Level>,
    /// As typed.
    pub(crate) root: PathBuf,
}

impl SandboxConfig {
    /// The levels to try, the strongest first.
    pub(crate) fn levels(&self) -> &'static [Level] {
        match (self.kind, self.level) {
            (SandboxKind::Filesystem, _) => &[Level::Filesystem],
            (SandboxKind::Wasi, Some(Level::Full)) => &[Level::Full],
            (SandboxKind::Wasi, Some(_)) => &[Level::Base],
            (SandboxKind::Wasi, None) => &[Level::Full, Level::Base],
        }
    }
}

/// What the cloud mode needs, besides a backend.
const CLOUD_NEEDS: &[&str] = &["DAYTONA_API_KEY", "TEMPORAL_ADDRESS", "REDIS_URL"];
/// What of the cloud mode does not exist in this version.
const CLOUD_NOT_BUILT: &[&str] = &["the `daytona` sandbox", "the Temporal worker", "the Redis event stream"];

/// Settings that make no sense, or ask for what is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("`{value}` ({origin}) is no mode")]
    Mode { value: String, origin: String },
    #[error("`{value}` ({origin}) is no sandbox")]
    Sandbox { value: String, origin: String },
    #[error("`{value}` ({origin}) is no level")]
    Level { value: String, origin: String },
    #[error("`level` ({origin}) belongs to the sandbox `wasi`")]
    LevelWithout { origin: String },
    #[error("the sandbox `daytona` ({origin}) belongs to MODE=cloud")]
    Daytona { origin: String },
    #[error("the endpoint `{value}` ({origin}) is not this daemon's own socket `{own}`, and MODE is `local`")]
    Endpoint { value: String, origin: String, own: String },
    #[error(
        "MODE=cloud cannot start: missing {}; not built in this version: {}",
        if .missing.is_empty() { "nothing".to_owned() } else { .missing.join(", ") },
        .not_built.join(", ")
    )]
    Cloud { missing: Vec<&'static str>, not_built: &'static [&'static str] },
}

impl SettingsError {
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            SettingsError::Mode { .. } => "MODE is `local` or `cloud`".to_owned(),
            SettingsError::Sandbox { .. } => "there are `wasi` and `filesystem`".to_owned(),
            SettingsError::Level { .. } => "there are `full` and `base`".to_owned(),
            SettingsError::LevelWithout { .. } => "leave the level out, or choose `wasi`".to_owned(),
            SettingsError::Daytona { .. } => "choose `wasi`, or `filesystem`".to_owned(),
            SettingsError::Endpoint { .. } => "unset it, or name that socket".to_owned(),
            SettingsError::Cloud { .. } => "MODE=local needs none of it".to_owned(),
        })
    }
}

/// What kind of sandbox, at which level, on which folder. Pure; whether the machine can hold it is another question.
///
/// `cloud` is looked up only in cloud mode: the variables that are set, by name.
pub(crate) fn sandbox_config(
    settings: &Settings,
    own_endpoint: &str,
    cloud: impl Fn(&str) -> bool,
) -> Result<SandboxConfig, SettingsError> {
    let origin = |valued: &Valued| valued.origin.to_string();
    let endpoint = settings.get(Key::Endpoint).filter(|endpoint| endpoint.value != own_endpoint);
    match mode(settings)? {
        Mode::Cloud => {
            let backend = endpoint.is_none().then_some("STIGMER_BACKEND_ENDPOINT");
            let missing = backend.into_iter().chain(CLOUD_NEEDS.iter().copied().filter(|name| !cloud(name))).collect();
            return Err(SettingsError::Cloud { missing, not_built: CLOUD_NOT_BUILT });
        }
        Mode::Local => {}
    }
    if let Some(other) = endpoint {
        let (value, own) = (other.value.clone(), own_endpoint.to_owned());
        return Err(SettingsError::Endpoint { value, origin: origin(other), own });
    }
    let kind = match settings.get(Key::Sandbox) {
        None => SandboxKind::Wasi,
        Some(valued) => match valued.value.as_str() {
            "wasi" => SandboxKind::Wasi,
            "filesystem" => SandboxKind::Filesystem,
            "daytona" => return Err(SettingsError::Daytona { origin: origin(valued) }),
            other => return Err(SettingsError::Sandbox { value: other.to_owned(), origin: origin(valued) }),
        },
    };
    let level = match settings.get(Key::Level) {
        None => None,
        Some(valued) if kind == SandboxKind::Filesystem => {
            return Err(SettingsError::LevelWithout { origin: origin(valued) });
        }
        Some(valued) => match valued.value.as_str() {
            "full" => Some(Level::Full),
            "base" => Some(Level::Base),
            other => return Err(SettingsError::Level { value: other.to_owned(), origin: origin(valued) }),
        },
    };
    Ok(SandboxConfig { kind, level, root: settings.value(Key::Workspace).unwrap_or(".").into() })
}

/// The mode.
fn mode(settings: &Settings) -> Result<Mode, SettingsError> {
    match settings.get(Key::Mode) {
        None => Ok(Mode::Local),
        Some(valued) => match valued.value.as_str() {
            "local" => Ok(Mode::Local),
            "cloud" => Ok(Mode::Cloud),
            other => Err(SettingsError::Mode { value: other.to_owned(), origin: valued.origin.to_string() }),
        },
    }
}
