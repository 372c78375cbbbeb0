//! The list itself: every system call that is allowed, or refused by name, with the reason.
//!
//! One file per part of the kernel. A call that stands nowhere here is answered `ENOSYS`.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod files;
mod kernel;
mod memory;
mod network;
mod others;
mod process;
mod threads;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use super::rule::Row;

/// Every row, once.
pub(super) fn all() -> impl Iterator<Item = &'static Row> {
    let common = [files::ROWS, memory::ROWS, process::ROWS, threads::ROWS, others::ROWS, network::ROWS, kernel::ROWS];
    #[cfg(target_arch = "x86_64")]
    let own = x86_64::ROWS;
    #[cfg(target_arch = "aarch64")]
    let own = aarch64::ROWS;
    common.into_iter().flatten().chain(own)
}
