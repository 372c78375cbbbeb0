//! Ending a whole tree of processes. `kill(-1)` stands in two functions, each beside its own proof; there is no path
//! from one to the other.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus};

use super::{setup, step};
use crate::jail::landlock as domain;
use crate::message::{MAX_REAPED, Reaped, StartFailure};

/// How this stage can end its tree.
pub(super) enum Way {
    /// It is the first process of the command's pid namespace.
    PidNamespace,
    /// It stands in a domain out of which it cannot signal.
    ScopeDomain(ScopeProof),
    /// It can only look for its descendants, again and again.
    Walk,
}

/// Evidence that the calling process cannot signal the process that forked it: taken right after it entered a domain
/// that nobody can leave. Only [`enter_scope_domain`] makes it.
pub(super) struct ScopeProof {
    init: Pid,
    owner: Pid,
}

/// Enters a domain that scopes signals, and proves it by a signal that must be refused.
pub(super) fn enter_scope_domain(ruleset: &OwnedFd, init: Pid) -> Result<ScopeProof, StartFailure> {
    domain::enter(ruleset).map_err(|failure| setup(&failure))?;
    let parent = rustix::process::getppid();
    let refused = rustix::process::test_kill_process(init) == Err(Errno::PERM);
    if parent != Some(init) || !refused {
        return Err(step("prove that signals stay in the command's domain", &Errno::PERM.into()));
    }
    Ok(ScopeProof { init, owner: rustix::process::getpid() })
}

/// Ends every process of the tree and reaps until there is none. Returns those that were there besides `main`, at most
/// [`MAX_REAPED`] by name, and how many in all.
pub(super) fn end_tree(way: &Way, main: Pid) -> (Vec<Reaped>, u32) {
    // Orphans of the tree become children of this process. Without a child there is nobody left.
    if is_empty() {
        return (Vec::new(), 0);
    }
    let mut found = match way {
        Way::PidNamespace => members(),
        Way::ScopeDomain(_) | Way::Walk => descendants(),
    };
    found.retain(|pid| *pid != main.as_raw_nonzero().get());
    let total = u32::try_from(found.len()).unwrap_or(u32::MAX);
    let named = found.into_iter().take(MAX_REAPED).map(|pid| Reaped { pid, name: name_of(pid) }).collect();
    match way {
        Way::PidNamespace => end_namespace(),
        Way::ScopeDomain(proof) => end_domain(proof),
        Way::Walk => end_by_walking(),
    }
    (named, total)
}

/// Reaps whatever has ended, without waiting. Returns the status of `main` when it was among them.
pub(super) fn reap_ended(main: Pid) -> Option<WaitStatus> {
    let mut status = None;
    while let Ok(Some((pid, ended))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == main {
            status = Some(ended);
        }
    }
    status
}

fn end_namespace() {
    loop {
        // SAFETY (of the idea): as the first process of a pid namespace, -1 means "everyone in it but me".
        if rustix::process::getpid() != Pid::INIT || rustix::process::getppid().is_some() {
            return;
        }
        // SAFETY: kill(2) touches no memory; the line above proved that -1 reaches this namespace only.
        unsafe { libc::kill(-1, libc::SIGKILL) };
        if !reap_one() {
            return;
        }
    }
}

fn end_domain(proof: &ScopeProof) {
    loop {
        if rustix::process::getpid() != proof.owner {
            return;
        }
        let parent = rustix::process::getppid();
        // While init lives the proof is taken again. Once it is gone a stranger is the parent, of whom a refusal would
        // say nothing; then the proof from the moment of entry counts, since a domain cannot be left.
        if parent == Some(proof.init) && rustix::process::test_kill_process(proof.init) != Err(Errno::PERM) {
            return;
        }
        // SAFETY: kill(2) touches no memory; inside a domain that scopes signals, -1 reaches only processes that were
        // started in it (proved above).
        unsafe { libc::kill(-1, libc::SIGKILL) };
        if !reap_one() {
            return;
        }
    }
}

fn end_by_walking() {
    loop {
        for pid in descendants().into_iter().filter_map(Pid::from_raw) {
            // ESRCH: it ended meanwhile and is ours to reap; its id cannot be used again before that.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        if !reap_one() {
            return;
        }
    }
}

/// Whether the calling process has no child, neither running nor ended.
fn is_empty() -> bool {
    matches!(
        rustix::process::waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT),
        Err(Errno::CHILD)
    )
}

/// Waits for one child; false when there is none left.
fn reap_one() -> bool {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Err(Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => return true,
        }
    }
}

/// Every process of this pid namespace but the first.
fn members() -> Vec<i32> {
    entries("/proc").into_iter().filter(|pid| *pid != 1).collect()
}

/// Descendants of the calling process, nearest first; those that reparented to it (subreaper) are its children.
fn descendants() -> Vec<i32> {
    descendants_of(rustix::process::getpid())
}

/// Descendants of a process, nearest first; none where it is not in view.
pub(super) fn descendants_of(root: Pid) -> Vec<i32> {
    let mut found = Vec::new();
    let mut next = vec![root.as_raw_nonzero().get()];
    while let Some(pid) = next.pop() {
        for child in children(pid) {
            found.push(child);
            next.push(child);
        }
    }
    found
}

/// Children of the calling process.
pub(crate) fn children_of_self() -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    children(own).into_iter().filter_map(Pid::from_raw).collect()
}

#[expect(clippy::disallowed_methods, reason = "/proc as the stage sees it")]
fn children(pid: i32) -> Vec<i32> {
    let mut found = Vec::new();
    for task in entries(&format!("/proc/{pid}/task")) {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{task}/children")).unwrap_or_default();
        found.extend(text.split_ascii_whitespace().filter_map(|child| child.parse::<i32>().ok()));
    }
    found
}

fn entries(folder: &str) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

#[expect(clippy::disallowed_methods, reason = "/proc as the stage sees it")]
fn name_of(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}
