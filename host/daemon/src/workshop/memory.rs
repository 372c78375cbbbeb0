//! Memory files that nobody can change any more.

use std::io::{Seek, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// Puts bytes into a memory file and seals content, size and seals (fcntl(2), F_ADD_SEALS). Read from its start.
pub(super) fn sealed(bytes: &[u8]) -> std::io::Result<OwnedFd> {
    let file = memfd_create(c"stigmer", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = std::fs::File::from(file);
    file.write_all(bytes)?;
    // Whoever gets the file reads from where its offset stands.
    file.rewind()?;
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file.into())
}
