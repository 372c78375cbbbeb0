//! Size, time to compile and time to attach of each filter, beside seccompiler's linear form of the same list.
//!
//! `cargo bench -p stigmer-sandbox --bench seccomp`. Each attach happens in a fresh child, the two forms in turn, so that
//! load on the machine meets both. Medians; the differences are worth more than the figures.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use stigmer_sandbox::seccomp::{Action, ArgTest, Caller, Verdict, compile, rows, set_no_new_privs};

const ROUNDS: usize = 400;

fn main() -> io::Result<()> {
    println!(
        "caller            instructions     compile µs       attach µs      (p50 of {ROUNDS}; ours / seccompiler)"
    );
    for caller in Caller::ALL {
        let (ours, theirs) = (compile(caller), linear(caller));
        let (mut compiled, mut attached) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for _ in 0..ROUNDS {
            compiled[0].push(time(|| drop(compile(caller))));
            compiled[1].push(time(|| drop(linear(caller))));
            attached[0].push(attach(|| ours.install().is_ok())?);
            attached[1].push(attach(|| seccompiler::apply_filter(&theirs).is_ok())?);
        }
        let [a, b] = compiled.map(median);
        let [c, d] = attached.map(median);
        println!(
            "{:16} {:6} / {:<6} {a:7.1} / {b:<7.1} {c:7.1} / {d:<7.1}",
            caller.name(),
            ours.instructions().len(),
            theirs.len()
        );
    }
    Ok(())
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// The allowed part of the list in seccompiler's form. It knows one action beside the default, so rows that refuse by
/// argument count as allowed: that makes its program smaller, not larger.
fn linear(caller: Caller) -> BpfProgram {
    let rules: BTreeMap<i64, Vec<SeccompRule>> = rows(caller)
        .filter_map(|(row, verdict)| {
            let rules = match verdict {
                Verdict::Always(Action::Allow) | Verdict::When { otherwise: Action::Allow, .. } => Vec::new(),
                Verdict::When { any, then: Action::Allow, .. } => any.iter().flat_map(|all| product(all)).collect(),
                _ => return None,
            };
            Some((i64::from(row.number()), rules))
        })
        .collect();
    let architecture = std::env::consts::ARCH.try_into().expect("an architecture that seccompiler knows");
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, architecture).expect("rules are well formed");
    filter.try_into().expect("fits the kernel's bound")
}

/// One rule per combination of values: seccompiler compares with one value at a time.
fn product(all: &[ArgTest]) -> Vec<SeccompRule> {
    let mut conjunctions: Vec<Vec<SeccompCondition>> = vec![Vec::new()];
    for test in all {
        let conditions = test.values().iter().map(|&value| {
            let length = if test.mask() >> 32 == 0 { SeccompCmpArgLen::Dword } else { SeccompCmpArgLen::Qword };
            SeccompCondition::new(test.argument(), length, SeccompCmpOp::MaskedEq(test.mask()), value)
                .expect("an argument below six")
        });
        conjunctions = conditions
            .flat_map(|condition| {
                conjunctions.iter().map(move |before| before.iter().cloned().chain([condition.clone()]).collect())
            })
            .collect();
    }
    conjunctions.into_iter().map(|all| SeccompRule::new(all).expect("not empty")).collect()
}

/// How long `install` takes in a child of its own.
fn attach(install: impl FnOnce() -> bool) -> io::Result<Duration> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both are fresh descriptors that nothing else owns.
    let [reader, writer] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    // SAFETY: this process has one thread; the child makes system calls and leaves by `_exit`.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let ready = set_no_new_privs().is_ok();
        let start = Instant::now();
        let done = install();
        let nanoseconds = (start.elapsed().as_nanos() as u64).to_ne_bytes();
        // SAFETY: eight bytes of this frame, to a descriptor that is open.
        let written = unsafe { libc::write(writer.as_raw_fd(), nanoseconds.as_ptr().cast(), 8) };
        // SAFETY: ends the child without unwinding.
        unsafe { libc::_exit(i32::from(!(ready && done && written == 8))) };
    }
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut status = 0;
    // SAFETY: `status` is written by the call; `pid` is this process's own child.
    if unsafe { libc::waitpid(pid, &raw mut status, 0) } != pid || status != 0 {
        return Err(io::Error::other(format!("the child that attaches ended with status {status:#x}")));
    }
    let mut nanoseconds = [0; 8];
    // SAFETY: eight bytes of this frame; the child wrote as many before it ended.
    if unsafe { libc::read(reader.as_raw_fd(), nanoseconds.as_mut_ptr().cast(), 8) } != 8 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::from_nanos(u64::from_ne_bytes(nanoseconds)))
}
