//! How much one execution, command or plugin call may use. Each default is a named constant with its reason.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Time for one command. Long enough for a build step, short enough that a hung one is noticed.
pub const COMMAND_TIME: Duration = Duration::from_secs(120);
/// Processes that one command's tree may hold at once. A parallel build on a large machine stays below it.
pub const PROCESSES: u32 = 512;
/// Bytes of scratch (`/tmp`, home) held in memory.
pub const SCRATCH_BYTES: u64 = 1 << 30;
/// Open descriptors per process: what most distributions give.
pub const DESCRIPTORS: u64 = 1024;
/// Largest file that a command may write.
pub const FILE_BYTES: u64 = 4 << 30;
/// Linear memory of one plugin instance.
pub const PLUGIN_MEMORY_BYTES: u64 = 256 << 20;
/// Wall time of one plugin call.
pub const PLUGIN_TIME: Duration = Duration::from_secs(30);
/// Tool calls that run at once.
pub const PARALLEL_CALLS: usize = 8;
/// Bytes of one command's output that an agent is given; the rest is counted, head and tail are kept.
pub const OUTPUT_BYTES: u64 = 256 << 10;

/// What one execution may use. Address space is not bounded: runtimes such as node, the JVM and a pooling wasm engine
/// reserve far more than they touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Wall time of one command.
    pub command_time: Duration,
    /// Processes in one command's tree.
    pub processes: u32,
    /// Bytes of scratch.
    pub scratch_bytes: u64,
    /// Open descriptors per process.
    pub descriptors: u64,
    /// Bytes of one written file.
    pub file_bytes: u64,
    /// Linear memory of one plugin instance, in bytes.
    pub plugin_memory_bytes: u64,
    /// Wall time of one plugin call.
    pub plugin_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            command_time: COMMAND_TIME,
            processes: PROCESSES,
            scratch_bytes: SCRATCH_BYTES,
            descriptors: DESCRIPTORS,
            file_bytes: FILE_BYTES,
            plugin_memory_bytes: PLUGIN_MEMORY_BYTES,
            plugin_time: PLUGIN_TIME,
        }
    }
}

/// Longest time that a limit accepts: a day.
pub const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Most processes that a limit accepts: below the kernel's own bound (`PID_MAX_LIMIT`, 2^22) by far.
pub const MAX_PROCESSES: u32 = 1 << 16;
/// Most bytes that a limit accepts: one tebibyte.
pub const MAX_BYTES: u64 = 1 << 40;
/// Most descriptors that a limit accepts: the kernel's `nr_open` default.
pub const MAX_DESCRIPTORS: u64 = 1 << 20;
/// Fewest descriptors with which ordinary programs still run.
pub const MIN_DESCRIPTORS: u64 = 16;
/// Most linear memory that a plugin limit accepts: what a 32-bit memory can hold.
pub const MAX_PLUGIN_MEMORY_BYTES: u64 = 1 << 32;

/// A limit that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{limit}` is {value}, between {least} and {most} is accepted")]
pub struct LimitsError {
    /// The limit, as the document's key names it.
    pub limit: &'static str,
    /// The value; times in seconds, rounded down.
    pub value: u64,
    /// Smallest value.
    pub least: u64,
    /// Largest value.
    pub most: u64,
}

impl Limits {
    /// Whether every limit lies in its range.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), LimitsError> {
        let day = MAX_TIME.as_secs();
        for (limit, value, least, most) in [
            ("command-seconds", self.command_time.as_secs(), 1, day),
            ("processes", self.processes.into(), 1, MAX_PROCESSES.into()),
            ("scratch-bytes", self.scratch_bytes, 4096, MAX_BYTES),
            ("descriptors", self.descriptors, MIN_DESCRIPTORS, MAX_DESCRIPTORS),
            ("file-bytes", self.file_bytes, 1, MAX_BYTES),
            ("plugin-memory-bytes", self.plugin_memory_bytes, 1 << 16, MAX_PLUGIN_MEMORY_BYTES),
            ("plugin-seconds", self.plugin_time.as_secs(), 1, day),
        ] {
            if value < least || value > most {
                return Err(LimitsError { limit, value, least, most });
            }
        }
        Ok(())
    }
}
