//! Resource limits of commands.

use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::process::{Resource, Rlimit, setrlimit};
use stigmer_policy::Limits;

use super::layers::Layers;

/// First pids of a namespace are not used again after the first lap (`RESERVED_PIDS` in kernel/pid.c); `pid_max` below
/// 301 is refused.
const RESERVED_PIDS: u32 = 300;

/// Bounds the calling process and its children. `beside`: tasks that the kernel counts against the limit on processes
/// though they are none of theirs ([`counted_beside`]).
///
/// # Errors
/// As setrlimit(2).
pub(crate) fn apply(limits: &Limits, beside: u32) -> io::Result<()> {
    let both = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(Resource::Core, both(0))?;
    lower(Resource::Nofile, limits.descriptors)?;
    lower(Resource::Fsize, limits.file_bytes)?;
    // Does not bind uid 0, for which `bound_pids` stands.
    lower(Resource::Nproc, u64::from(limits.processes) + u64::from(beside))
}

/// A limit that is already tighter stays.
fn lower(resource: Resource, value: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(resource);
    let value = now.maximum.map_or(value, |maximum| maximum.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}

/// Tasks that RLIMIT_NPROC counts before there is a command. It counts all tasks of a user in a user namespace: in one of
/// our own those are the jail's, else everything that the person runs, of which a desktop has more than any sensible
/// limit. `ours`, the processes of this execution, are not counted: else commands beside each other would raise each
/// other's limit. For a process that sees the host's `/proc`; tasks of the same user that are not in there (in a container
/// beside ours) are missed, and leave the command less room than its limit says; those that end after this leave it more.
pub(crate) fn counted_beside(layers: &Layers, ours: impl FnOnce() -> Vec<i32>) -> u32 {
    let uid = rustix::process::getuid();
    if layers.needs_namespaces() || uid.is_root() {
        return 0;
    }
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let ours = ours();
    let tasks = entries.flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        if ours.contains(&pid) {
            return None;
        }
        // Its link count is two and the number of threads (`proc_task_getattr` in fs/proc/base.c).
        let tasks = std::fs::metadata(entry.path().join("task")).ok()?;
        (tasks.uid() == uid.as_raw()).then(|| tasks.nlink().saturating_sub(2))
    });
    u32::try_from(tasks.sum::<u64>()).unwrap_or(u32::MAX)
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
