//! Processes of the machine, as the tests see them.

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
