//! Processes of the machine, as the tests see them.

use rustix::process::{Pid, Signal, kill_process};

/// Process ids of those with `marker` among their arguments.
///
/// # Panics
/// Without `/proc`.
#[must_use]
pub fn marked(marker: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("/proc is there").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == marker.as_bytes())
    })
    .collect()
}

/// Ids of all that `root` started and what those started, parents before children.
#[must_use]
pub fn descendants(root: i32) -> Vec<i32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
        }
        at += 1;
    }
    found.split_off(1)
}

/// The arguments of a process; none when it is gone.
#[must_use]
pub fn arguments(pid: i32) -> Vec<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let Some(line) = line.strip_suffix(b"\0") else { return Vec::new() };
    line.split(|byte| *byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

/// Kills a process that the test started, or a descendant of one that was seen a moment ago; gone already is as good.
///
/// # Panics
/// When the number is none of a process.
pub fn kill(pid: i32) {
    let _ = kill_process(Pid::from_raw(pid).expect("a process id"), Signal::KILL);
}
