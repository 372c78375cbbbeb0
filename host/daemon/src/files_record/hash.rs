//! The digest of one file.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags, fstat, openat2};
use sha2::{Digest, Sha256};

use super::MAX_HASHED;
use super::snapshot::Entry;
use super::walk::BENEATH;

/// SHA-256 in lower-case hex; `None` for a file that is too large, no regular file any more, or cannot be read.
pub(super) fn file(root: &OwnedFd, entry: &Entry) -> Option<String> {
    // NONBLOCK: what was a file when it was listed may be a pipe now.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = openat2(root, &entry.path[..], flags, Mode::empty(), BENEATH).ok()?;
    let found = fstat(&opened).ok()?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile || entry.size > MAX_HASHED {
        return None;
    }
    let mut file = File::from(opened).take(MAX_HASHED + 1);
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                length += read as u64;
                digest.update(&buffer[..read]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    (length <= MAX_HASHED).then(|| crate::hex(&digest.finalize()))
}
