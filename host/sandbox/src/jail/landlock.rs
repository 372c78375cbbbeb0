//! Landlock domains: which files a process may touch, whom it may signal. Everything is asked for as a hard
//! requirement; the crate's default would be best effort.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};
use stigmer_policy::{Layer, Level};

use crate::jail::layers::Layers;
use crate::jail::plan::{FileAccess, FileRule};
use crate::message::SetupFailure;

/// Lowest ABI that full level can stand on: rename across folders and truncation are covered (Linux 6.2).
pub const FULL_ABI: i32 = 3;
/// Lowest ABI that base level can stand on: signals and abstract sockets are scoped (Linux 6.12).
pub const BASE_ABI: i32 = 6;

/// The kernel's Landlock ABI; 0 when it has none or it is switched off.
#[must_use]
pub fn kernel_abi() -> i32 {
    const CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with the version flag the kernel reads neither attributes nor their size (landlock_create_ruleset(2)).
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, CREATE_RULESET_VERSION)
    };
    i32::try_from(version).unwrap_or(0).max(0)
}

/// The lowest ABI that `level` needs.
#[must_use]
pub fn needed_abi(level: Level) -> i32 {
    match level {
        Level::Full => FULL_ABI,
        Level::Base => BASE_ABI,
        Level::Filesystem => 0,
    }
}

fn abi() -> ABI {
    match kernel_abi() {
        ..=3 => ABI::V3,
        4 => ABI::V4,
        5 => ABI::V5,
        _ => ABI::V6,
    }
}

/// A domain for commands or the runner: `rules`, and scopes where the kernel has them.
///
/// # Errors
/// When the kernel lacks a part or a required path cannot be opened.
pub(crate) fn files(layers: &Layers, rules: &[FileRule]) -> Result<Option<RulesetCreated>, SetupFailure> {
    let (files, scopes) = (layers.has(Layer::LandlockFiles), scopes_stand(layers));
    if !files && !scopes {
        return Ok(None);
    }
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    if files {
        ruleset = ruleset.handle_access(AccessFs::from_all(abi())).map_err(failed)?;
    }
    if scopes {
        ruleset = ruleset.scope(Scope::Signal | Scope::AbstractUnixSocket).map_err(failed)?;
    }
    let mut created = ruleset.create().map_err(failed)?;
    if files {
        // A grant of the jail's own /tmp is none of the host's.
        for rule in rules.iter().filter(|rule| !rule.own || layers.has(Layer::Mounts)) {
            created = add(created, rule)?;
        }
    }
    Ok(Some(created))
}

/// A domain that restricts signals and abstract sockets only; mount(2) keeps working in it.
///
/// # Errors
/// When the kernel has no scopes.
pub(crate) fn scopes(layers: &Layers) -> Result<Option<RulesetCreated>, SetupFailure> {
    if !scopes_stand(layers) {
        return Ok(None);
    }
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::Signal | Scope::AbstractUnixSocket)
        .and_then(Ruleset::create)
        .map(Some)
        .map_err(failed)
}

/// At full level scopes are a second wall and may be missing on an older kernel; at base they are the wall.
fn scopes_stand(layers: &Layers) -> bool {
    layers.has(Layer::LandlockScopes) && (layers.level() == Level::Base || kernel_abi() >= BASE_ABI)
}

fn add(ruleset: RulesetCreated, rule: &FileRule) -> Result<RulesetCreated, SetupFailure> {
    let fd = match PathFd::new(&rule.path) {
        Ok(fd) => fd,
        Err(_) if !rule.required => return Ok(ruleset),
        Err(error) => return Err(on(&rule.path, error)),
    };
    let is_folder = rustix::fs::fstat(&fd)
        .map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
        .map_err(|errno| on(&rule.path, io::Error::from(errno)))?;
    let mut access = grants(rule.access);
    if !is_folder {
        access &= AccessFs::from_file(abi());
    }
    ruleset.add_rule(PathBeneath::new(fd, access)).map_err(|error| on(&rule.path, error))
}

/// Rights of one executable, by descriptor: what the runner's start needs.
///
/// # Errors
/// The kernel's.
pub(crate) fn add_executable(
    ruleset: RulesetCreated,
    file: std::os::fd::BorrowedFd<'_>,
) -> Result<RulesetCreated, SetupFailure> {
    ruleset.add_rule(PathBeneath::new(file, AccessFs::Execute | AccessFs::ReadFile)).map_err(failed)
}

fn grants(access: FileAccess) -> BitFlags<AccessFs> {
    let abi = abi();
    match access {
        FileAccess::Read => AccessFs::from_read(abi),
        // No devices: root without capabilities could still make one that it then opens. No ioctl on devices either.
        FileAccess::Write => AccessFs::from_all(abi) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev),
        FileAccess::Device => {
            let wanted =
                AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ReadDir | AccessFs::Truncate | AccessFs::IoctlDev;
            wanted & AccessFs::from_all(abi)
        }
    }
}

/// Enters the domain, for good.
///
/// # Errors
/// When the kernel enforces less than was asked for.
pub(crate) fn enter(ruleset: RulesetCreated) -> Result<(), SetupFailure> {
    let status = ruleset.restrict_self().map_err(failed)?;
    if status.ruleset == RulesetStatus::FullyEnforced {
        return Ok(());
    }
    Err(SetupFailure {
        step: "enforce all Landlock rules".to_owned(),
        subject: None,
        errno: 0,
        layer: Some(Layer::LandlockFiles),
    })
}

fn failed(error: impl std::error::Error) -> SetupFailure {
    SetupFailure {
        step: "build a Landlock domain".to_owned(),
        subject: Some(error.to_string()),
        errno: 0,
        layer: Some(Layer::LandlockFiles),
    }
}

fn on(path: &Path, error: impl std::error::Error) -> SetupFailure {
    SetupFailure {
        step: "grant a path in a Landlock domain".to_owned(),
        subject: Some(format!("{}: {error}", path.display())),
        errno: 0,
        layer: Some(Layer::LandlockFiles),
    }
}
