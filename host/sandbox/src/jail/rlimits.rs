//! Resource limits of commands.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};
use stigmer_policy::Limits;

/// First pids of a namespace are not used again after the first lap (`RESERVED_PIDS` in kernel/pid.c); `pid_max` below
/// 301 is refused.
const RESERVED_PIDS: u32 = 300;

/// Bounds the calling process and its children.
///
/// # Errors
/// As setrlimit(2).
pub(crate) fn apply(limits: &Limits) -> io::Result<()> {
    let both = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(Resource::Core, both(0))?;
    lower(Resource::Nofile, limits.descriptors)?;
    lower(Resource::Fsize, limits.file_bytes)?;
    // Per user namespace at full level; does not bind uid 0, for which `bound_pids` stands.
    lower(Resource::Nproc, u64::from(limits.processes))
}

/// A limit that is already tighter stays.
fn lower(resource: Resource, value: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(resource);
    let value = now.maximum.map_or(value, |maximum| maximum.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}

/// Bounds the pid namespace of the caller, whose own `/proc` is mounted. Linux 6.14 and later keep `pid_max` per
/// namespace; before that it is refused, and the limit on processes stands alone.
///
/// # Errors
/// Any but that refusal.
#[expect(clippy::disallowed_methods, reason = "the stage's own /proc, mounted a moment ago")]
pub(crate) fn bound_pids(processes: u32) -> io::Result<()> {
    match std::fs::write("/proc/sys/kernel/pid_max", (RESERVED_PIDS + processes).to_string()) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM)) => Ok(()),
        other => other,
    }
}
