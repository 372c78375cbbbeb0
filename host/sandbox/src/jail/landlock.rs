//! Landlock domains: which files a process may touch, whom it may signal. Everything is asked for as a hard
//! requirement; the crate's default would be best effort.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::OnceLock;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, Scope,
};
use rustix::fs::OFlags;
use stigmer_policy::{Layer, Level};

use crate::failure::Step;
use crate::jail::layers::Layers;
use crate::jail::mounts;
use crate::jail::plan::{FileAccess, FileRule};
use crate::message::SetupFailure;

/// Lowest ABI that full level can stand on: rename across folders and truncation are covered (Linux 6.2).
pub const FULL_ABI: i32 = 3;
/// Lowest ABI that base level can stand on: signals and abstract sockets are scoped (Linux 6.12).
pub const BASE_ABI: i32 = 6;

/// The kernel's Landlock ABI; 0 when it has none or it is switched off.
#[must_use]
pub fn kernel_abi() -> i32 {
    // Asked once: it cannot change while the kernel runs.
    static ABI: OnceLock<i32> = OnceLock::new();
    *ABI.get_or_init(ask_kernel_abi)
}

fn ask_kernel_abi() -> i32 {
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

/// Where the process file system stands.
const PROC: &str = "/proc";

fn abi() -> ABI {
    match kernel_abi() {
        ..=3 => ABI::V3,
        4 => ABI::V4,
        5 => ABI::V5,
        _ => ABI::V6,
    }
}

/// The domain of commands, as far as it can be built before a command exists.
pub(crate) enum Prepared {
    /// No part of it stands.
    Nothing,
    /// Every command enters the same.
    Whole(OwnedFd),
    /// Rules with their paths open. A ruleset does not cover a `/proc` that is mounted after it was built, and each
    /// command has its own, so the last rule is added then.
    Open(Vec<(OwnedFd, BitFlags<AccessFs>)>),
}

/// Opens what `rules` name, in the tree that the calling process sees.
///
/// # Errors
/// When the kernel lacks a part or a required path cannot be opened.
pub(crate) fn prepare(layers: &Layers, rules: &[FileRule]) -> Result<Prepared, SetupFailure> {
    if !layers.has(Layer::LandlockFiles) && !scopes_stand(layers) {
        return Ok(Prepared::Nothing);
    }
    let mut open = Vec::new();
    // With pid namespaces each command mounts its own; without, the one that stands is everybody's.
    let own_proc = layers.has(Layer::Pids);
    for rule in rules_here(layers, rules).filter(|rule| !own_proc || rule.path != Path::new(PROC)) {
        open.extend(open_rule(rule)?);
    }
    if own_proc {
        return Ok(Prepared::Open(open));
    }
    let ruleset = whole(layers, open.iter().map(|(fd, access)| (fd.as_fd(), *access)))?;
    finished(ruleset).map(Prepared::Whole)
}

impl Prepared {
    /// Descriptors that a process must keep to use this.
    pub(crate) fn numbers(&self) -> Vec<RawFd> {
        match self {
            Prepared::Nothing => Vec::new(),
            Prepared::Whole(ruleset) => vec![ruleset.as_raw_fd()],
            Prepared::Open(rules) => rules.iter().map(|(fd, _)| fd.as_raw_fd()).collect(),
        }
    }

    /// The domain for the calling process, whose own `/proc` is mounted.
    ///
    /// # Errors
    /// As [`prepare`].
    pub(crate) fn ruleset(&self, layers: &Layers) -> Result<Option<OwnedFd>, SetupFailure> {
        match self {
            Prepared::Nothing => Ok(None),
            Prepared::Whole(ruleset) => ruleset.try_clone().map(Some).map_err(failed),
            Prepared::Open(rules) => {
                let (access, identity) = (FileAccess::Read, None);
                let proc = open_rule(&FileRule { path: PROC.into(), access, required: false, own: false, identity })?;
                let rules = rules.iter().chain(&proc).map(|(fd, access)| (fd.as_fd(), *access));
                whole(layers, rules).and_then(finished).map(Some)
            }
        }
    }
}

/// A domain for the runner: `rules`, the right to start `executable`, and scopes where the kernel has them.
///
/// # Errors
/// When the kernel lacks a part or a required path cannot be opened.
pub(crate) fn for_runner(
    layers: &Layers,
    rules: &[FileRule],
    executable: &OwnedFd,
) -> Result<Option<OwnedFd>, SetupFailure> {
    if !layers.has(Layer::LandlockFiles) && !scopes_stand(layers) {
        return Ok(None);
    }
    let mut open = Vec::new();
    for rule in rules_here(layers, rules) {
        open.extend(open_rule(rule)?);
    }
    let program = (executable.as_fd(), AccessFs::Execute | AccessFs::ReadFile);
    let rules = open.iter().map(|(fd, access)| (fd.as_fd(), *access)).chain([program]);
    whole(layers, rules).and_then(finished).map(Some)
}

/// A grant of the jail's own /tmp is none of the host's.
fn rules_here<'a>(layers: &Layers, rules: &'a [FileRule]) -> impl Iterator<Item = &'a FileRule> {
    let own_tree = layers.has(Layer::Mounts);
    rules.iter().filter(move |rule| !rule.own || own_tree)
}

fn whole<'a>(
    layers: &Layers,
    rules: impl Iterator<Item = (BorrowedFd<'a>, BitFlags<AccessFs>)>,
) -> Result<RulesetCreated, SetupFailure> {
    if !layers.has(Layer::LandlockFiles) {
        return scopes_alone();
    }
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi()))
        .map_err(failed)?;
    if scopes_stand(layers) {
        ruleset = ruleset.scope(Scope::Signal | Scope::AbstractUnixSocket).map_err(failed)?;
    }
    let mut created = ruleset.create().map_err(failed)?;
    for (fd, access) in rules {
        created = created.add_rule(PathBeneath::new(fd, access)).map_err(failed)?;
    }
    Ok(created)
}

/// A domain that restricts signals and abstract sockets only. Who enters it cannot mount any more.
///
/// # Errors
/// When the kernel has no scopes.
pub(crate) fn scopes(layers: &Layers) -> Result<Option<OwnedFd>, SetupFailure> {
    if !scopes_stand(layers) {
        return Ok(None);
    }
    scopes_alone().and_then(finished).map(Some)
}

/// Moving a file to another folder is the one right that every domain takes away which does not grant it, whatever it is
/// about (landlock(7), `LANDLOCK_ACCESS_FS_REFER`): this one grants it everywhere.
fn scopes_alone() -> Result<RulesetCreated, SetupFailure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, rustix::fs::Mode::empty())
        .map_err(|errno| on(Path::new("/"), io::Error::from(errno)))?;
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Refer)
        .and_then(|ruleset| ruleset.scope(Scope::Signal | Scope::AbstractUnixSocket))
        .and_then(Ruleset::create)
        .and_then(|created| created.add_rule(PathBeneath::new(root, AccessFs::Refer)))
        .map_err(failed)
}

/// At full level scopes are a second wall and may be missing on an older kernel; at base they are the wall.
fn scopes_stand(layers: &Layers) -> bool {
    layers.has(Layer::LandlockScopes) && (layers.level() == Level::Base || kernel_abi() >= BASE_ABI)
}

/// Opens a rule's path; nothing when it is missing and may be.
fn open_rule(rule: &FileRule) -> Result<Option<(OwnedFd, BitFlags<AccessFs>)>, SetupFailure> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let fd = match rustix::fs::open(&rule.path, flags, rustix::fs::Mode::empty()) {
        Ok(fd) => fd,
        Err(_) if !rule.required => return Ok(None),
        Err(errno) => return Err(on(&rule.path, io::Error::from(errno))),
    };
    // The domain holds for what is open here, whatever the name leads to later.
    if let Some(identity) = rule.identity {
        mounts::check_identity(&fd, identity, &rule.path)?;
    }
    let stat = rustix::fs::fstat(&fd).map_err(|errno| on(&rule.path, io::Error::from(errno)))?;
    let mut access = grants(rule.access);
    if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
        access &= AccessFs::from_file(abi());
    }
    Ok(Some((fd, access)))
}

/// The ruleset as a descriptor that any number of processes may enter.
fn finished(ruleset: RulesetCreated) -> Result<OwnedFd, SetupFailure> {
    // None only under best effort, on a kernel without Landlock.
    Option::<OwnedFd>::from(ruleset).ok_or_else(|| failed(io::Error::from(io::ErrorKind::Unsupported)))
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

/// Enters the domain, for good. no_new_privs must be set.
///
/// # Errors
/// As landlock_restrict_self(2).
pub(crate) fn enter(ruleset: &OwnedFd) -> Result<(), SetupFailure> {
    // SAFETY: the call takes a descriptor and flags and touches no memory.
    let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0_u32) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error()).step(Layer::LandlockFiles, "enter a Landlock domain")
    }
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
