//! How much one call may use, and the meter that holds it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

use crate::engine::{CORE_INSTANCES_PER_CALL, MEMORIES_PER_CALL, TABLES_PER_CALL};

/// Elements of one table. The largest of the toolchains tried (a Python interpreter) needs under 20,000.
pub const TABLE_ELEMENTS: usize = 100_000;
/// Host resources (files, streams, pollables, sockets that refuse) that one call may hold at once.
pub const HOST_RESOURCES: usize = 4096;
/// Component-level handles that one call may hold at once.
pub const HANDLES: usize = 10_000;
/// Bytes that one host call, or a result, may bring from the guest, as they lie in the host's memory: text counts once,
/// each item of a list about 40 bytes. wasmtime's own default.
pub const HOST_CALL_BYTES: usize = 128 << 20;
/// Random bytes over a whole call. Key material and seeds need a few hundred.
pub const RANDOM_BYTES: u64 = 64 << 20;
/// Bytes kept of stdout, and of stderr; further ones are counted and dropped.
pub const STDIO_BYTES: usize = 256 << 10;
/// Values in the JSON that goes in or comes out of a call.
pub const JSON_VALUES: usize = 4_000_000;

/// What one call may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallLimits {
    /// Wall time, waiting in the host included.
    pub time: Duration,
    /// Bytes of linear memory, all memories together.
    pub memory_bytes: u64,
    /// Elements of one table.
    pub table_elements: usize,
    /// Host resources held at once.
    pub host_resources: usize,
    /// Bytes that one host call may take from the guest.
    pub host_call_bytes: usize,
    /// Random bytes over the whole call.
    pub random_bytes: u64,
    /// Bytes kept of stdout, and of stderr.
    pub stdio_bytes: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        CallLimits::from(&stigmer_policy::Limits::default())
    }
}

impl From<&stigmer_policy::Limits> for CallLimits {
    fn from(limits: &stigmer_policy::Limits) -> Self {
        CallLimits {
            time: limits.plugin_time,
            memory_bytes: limits.plugin_memory_bytes,
            table_elements: TABLE_ELEMENTS,
            host_resources: HOST_RESOURCES,
            host_call_bytes: HOST_CALL_BYTES,
            random_bytes: RANDOM_BYTES,
            stdio_bytes: STDIO_BYTES,
        }
    }
}

/// Which bound a call ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Limit {
    /// Wall time, in milliseconds.
    Time,
    /// Linear memory, in bytes.
    Memory,
    /// Elements of a table.
    Table,
    /// Call depth: bytes of wasm stack.
    Stack,
    /// Resources of the host held at once.
    HostResources,
    /// Handles of the component model held at once.
    Handles,
    /// Bytes in one host call.
    HostCall,
    /// Random bytes.
    Random,
    /// Instances, memories or tables of one component.
    Instances,
}

impl Limit {
    /// The name in messages and on the command line (`--limit NAME=VALUE`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Limit::Time => "time",
            Limit::Memory => "memory",
            Limit::Table => "table-elements",
            Limit::Stack => "stack",
            Limit::HostResources => "host-resources",
            Limit::Handles => "handles",
            Limit::HostCall => "host-call-bytes",
            Limit::Random => "random-bytes",
            Limit::Instances => "instances",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Limit::Time => "ms",
            Limit::Memory | Limit::Stack | Limit::HostCall | Limit::Random => "bytes",
            Limit::Table => "elements",
            Limit::HostResources | Limit::Handles | Limit::Instances => "at once",
        }
    }
}

/// A call was ended because it went over a bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("went over its limit `{}` of {allowed} {}", limit.name(), limit.unit())]
pub struct LimitError {
    /// The bound.
    pub limit: Limit,
    /// Its value, in the unit that [`Limit`] states.
    pub allowed: u64,
    /// What would have been needed, where it is known.
    pub wanted: Option<u64>,
}

impl LimitError {
    /// The setting that raises the bound; `None` for those that are fixed.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self.limit {
            Limit::Stack | Limit::Handles | Limit::Instances => None,
            limit => {
                let needed = self.wanted.map(|n| format!("; this call asked for {n}")).unwrap_or_default();
                Some(format!("raise it with `--limit {}=VALUE`{needed}", limit.name()))
            }
        }
    }
}

/// Holds the bounds that are met inside wasm, and remembers which one was met.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) limits: CallLimits,
    pub(crate) deadline: Instant,
    pub(crate) memory: u64,
    pub(crate) peak_memory: u64,
    pub(crate) random: u64,
    pub(crate) refused: Option<LimitError>,
}

impl Meter {
    pub(crate) fn new(limits: CallLimits, now: Instant) -> Meter {
        let deadline = now + limits.time;
        Meter { limits, deadline, memory: 0, peak_memory: 0, random: 0, refused: None }
    }

    pub(crate) fn time_error(&self) -> LimitError {
        let allowed = u64::try_from(self.limits.time.as_millis()).unwrap_or(u64::MAX);
        LimitError { limit: Limit::Time, allowed, wanted: None }
    }

    /// Counts random bytes about to be made.
    pub(crate) fn take_random(&mut self, bytes: u64) -> Result<(), LimitError> {
        let total = self.random.saturating_add(bytes);
        if total > self.limits.random_bytes {
            let error = LimitError { limit: Limit::Random, allowed: self.limits.random_bytes, wanted: Some(total) };
            self.refused = Some(error.clone());
            return Err(error);
        }
        self.random = total;
        Ok(())
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current) as u64);
        if total > self.limits.memory_bytes {
            let error = LimitError { limit: Limit::Memory, allowed: self.limits.memory_bytes, wanted: Some(total) };
            self.refused = Some(error);
            return Ok(false);
        }
        self.memory = total;
        self.peak_memory = self.peak_memory.max(total);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        Ok(())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.limits.table_elements {
            let allowed = self.limits.table_elements as u64;
            self.refused = Some(LimitError { limit: Limit::Table, allowed, wanted: Some(desired as u64) });
            return Ok(false);
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_PER_CALL as usize
    }

    fn tables(&self) -> usize {
        TABLES_PER_CALL as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_PER_CALL as usize
    }
}
