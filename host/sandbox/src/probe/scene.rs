//! What a process that tries an act is told about its witnesses. Nothing here is secret: it may even be read by the
//! process that it is kept from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Addresses of the witnesses of one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scene {
    /// The folder that may be written.
    pub(crate) workspace: PathBuf,
    /// The folder that may not even be read.
    pub(crate) outside: PathBuf,
    /// Scratch, as the acting process sees it.
    pub(crate) scratch: PathBuf,
    /// A new file to make in the host's shared memory.
    pub(crate) shm_file: PathBuf,
    /// Ports on the host's loopback: TCP over IPv4, UDP, TCP over IPv6 where there is any.
    pub(crate) tcp: u16,
    pub(crate) udp: u16,
    pub(crate) tcp6: Option<u16>,
    /// Name of an abstract unix socket.
    pub(crate) abstract_name: String,
    /// A System V segment, and a POSIX queue, where the machine has them.
    pub(crate) segment: Option<i32>,
    pub(crate) queue: Option<String>,
    /// Text that stands in everything that must not be read.
    pub(crate) canary: String,
    /// The process of the host that acts aim at.
    pub(crate) process: Target,
    /// Device and inode of the file that is open in the host.
    pub(crate) open_file: (u64, u64),
    /// How many children at once break the limit on processes.
    pub(crate) most_processes: u32,
    /// The limits on scratch and on one file, in bytes.
    pub(crate) scratch_bytes: u64,
    pub(crate) file_bytes: u64,
}

/// A process of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) pid: i32,
    /// Its name (`comm`), nobody else's.
    pub(crate) name: String,
    /// Where the canary stands in its memory.
    pub(crate) address: u64,
    /// Number of a descriptor that it holds.
    pub(crate) descriptor: i32,
    /// Whether the canary stands in its environment, too.
    pub(crate) environment: bool,
}
