//! `read`: bytes of a file, as they are.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use stigmer_policy::JailPath;

use super::fault::{PathFault, verb_error};
use super::node::{self, Kind};
use super::resolve::{Last, Place, Want, resolve};
use super::roots::{At, Roots};

/// Bytes that one [`Roots::read`] returns at most, whatever is asked: one message of a runner is no larger (1 MiB), and
/// callers page.
pub const READ_BYTES: usize = 1 << 20;

/// Which bytes to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// First byte, counted from 0.
    pub offset: u64,
    /// At most this many bytes, and never more than [`READ_BYTES`].
    pub limit: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { offset: 0, limit: READ_BYTES }
    }
}

/// Bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBytes {
    /// The file, after following links.
    pub path: JailPath,
    /// The bytes from the offset on.
    pub bytes: Vec<u8>,
    /// Whether the file goes on after them.
    pub truncated: bool,
}

/// Why bytes could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The place could not be reached.
    #[error(transparent)]
    Path(#[from] PathFault),
}

verb_error!(ReadError, case {} hint {});

impl Roots {
    /// Reads bytes of a regular file; following links inside the root.
    ///
    /// Memory is bounded by what is there and by the limit, never by the size that the file claims. Nothing blocks: a
    /// FIFO, socket or device is refused, also when it is swapped in after the walk.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(&self, path: &JailPath, options: ReadOptions) -> Result<ReadBytes, ReadError> {
        let (path, file) = self.open_to_read(path)?;
        let limit = options.limit.min(READ_BYTES);
        let failed = |source| PathFault::Io { doing: "read", path: path.clone(), source };
        let mut bytes = Vec::new();
        let mut chunk = [0; CHUNK];
        let mut truncated = false;
        loop {
            let wanted = (limit - bytes.len()).min(chunk.len());
            let at = options.offset.saturating_add(bytes.len() as u64);
            // One more byte than the limit says whether the file goes on.
            let part = if wanted == 0 { &mut chunk[..1] } else { &mut chunk[..wanted] };
            let count = read_at(&file, part, at).map_err(failed)?;
            match (count, wanted) {
                (0, _) => break,
                (_, 0) => {
                    truncated = true;
                    break;
                }
                _ => bytes.extend_from_slice(&chunk[..count]),
            }
        }
        Ok(ReadBytes { path, bytes, truncated })
    }

    /// Writes a whole regular file to `out`, without a bound and without holding it: what `get` and `cat` do. Gives the
    /// count of bytes written.
    ///
    /// # Errors
    /// [`ReadError`]; a failure of `out` is [`PathFault::Io`] with `doing` = `pass on`.
    pub fn copy_out(&self, path: &JailPath, out: &mut dyn io::Write) -> Result<u64, ReadError> {
        let (path, file) = self.open_to_read(path)?;
        let mut chunk = vec![0; CHUNK];
        let mut done = 0;
        loop {
            let count = read_at(&file, &mut chunk, done).map_err(|source| PathFault::Io {
                doing: "read",
                path: path.clone(),
                source,
            })?;
            if count == 0 {
                return Ok(done);
            }
            out.write_all(&chunk[..count]).map_err(|source| PathFault::Io {
                doing: "pass on",
                path: path.clone(),
                source,
            })?;
            done += count as u64;
        }
    }

    /// Opens the regular file that `path` leads to.
    pub(super) fn open_to_read(&self, path: &JailPath) -> Result<(JailPath, File), PathFault> {
        match resolve(self, path, Want::Read, Last::Follow)? {
            Place::Spot(spot) => {
                // What is no file is named without being opened: opening a device may already do something.
                node::regular(Some(spot.existing()?.kind), &spot.path)?;
                let Some(name) = spot.name() else { return Err(PathFault::IsDirectory { path: spot.path }) };
                let (file, _) = node::open_file(&spot.dir, name, &spot.path)?;
                Ok((spot.path, file))
            }
            Place::Listed { path, at: At::File(file) } => match file.try_clone() {
                Ok(file) => Ok((path, file)),
                Err(source) => Err(PathFault::Io { doing: "open", path, source }),
            },
            Place::Listed { path, at: At::Unreadable(errno) } => Err(PathFault::from_errno("open", &path, *errno)),
            Place::Listed { path, at: At::Other(kind) } => Err(PathFault::NotRegular { path, kind: *kind }),
            Place::Listed { path, at: At::Folder(_) } => Err(PathFault::NotRegular { path, kind: Kind::Folder }),
        }
    }
}

const CHUNK: usize = 64 << 10;

/// `pread`, which a listed file needs: its descriptor is shared, so is its position.
pub(super) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    if i64::try_from(at).is_err() {
        // No file reaches that far, and the call would say EINVAL.
        return Ok(0);
    }
    loop {
        match file.read_at(buffer, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A file as a stream with a position of its own.
pub(super) struct Stream {
    pub(super) file: File,
    pub(super) at: u64,
}

impl io::Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = read_at(&self.file, buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
