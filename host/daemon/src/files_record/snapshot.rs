//! The state of a workspace, and the form in which it is stored.

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Link,
    /// Socket, pipe, device.
    Other,
}

/// One entry that is no folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Relative to the workspace.
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) size: u64,
    /// Nanoseconds; with the status change time, which a program cannot set back.
    pub(super) mtime: i64,
    pub(super) ctime: i64,
    pub(super) inode: u64,
    pub(super) mode: u32,
}

/// The state of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    pub(super) entries: Vec<Entry>,
    pub(super) partial: bool,
}

impl Snapshot {
    /// The form that is stored: one byte (whether it is partial), then per entry the length of its path, the path and
    /// six numbers, all big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.partial)];
        for entry in &self.entries {
            let length = u16::try_from(entry.path.len()).expect("the walk keeps no path above MAX_PATH");
            bytes.extend(length.to_be_bytes());
            bytes.extend(&entry.path);
            bytes.push(match entry.kind {
                Kind::File => 0,
                Kind::Link => 1,
                Kind::Other => 2,
            });
            bytes.extend(entry.size.to_be_bytes());
            bytes.extend(entry.mtime.to_be_bytes());
            bytes.extend(entry.ctime.to_be_bytes());
            bytes.extend(entry.inode.to_be_bytes());
            bytes.extend(entry.mode.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`Snapshot::to_bytes`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (partial, mut rest) = bytes.split_first()?;
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let length = take::<2>(&mut rest).map(u16::from_be_bytes)?;
            let (path, after) = rest.split_at_checked(length.into())?;
            rest = after;
            let kind = match take::<1>(&mut rest)? {
                [0] => Kind::File,
                [1] => Kind::Link,
                [2] => Kind::Other,
                _ => return None,
            };
            entries.push(Entry {
                path: path.to_vec(),
                kind,
                size: take(&mut rest).map(u64::from_be_bytes)?,
                mtime: take(&mut rest).map(i64::from_be_bytes)?,
                ctime: take(&mut rest).map(i64::from_be_bytes)?,
                inode: take(&mut rest).map(u64::from_be_bytes)?,
                mode: take(&mut rest).map(u32::from_be_bytes)?,
            });
        }
        Some(Snapshot { entries, partial: *partial != 0 })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}
