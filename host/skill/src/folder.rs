//! Skills on disk, through a directory handle.

use std::io::{self, Read, Write};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt, PermissionsExt};
use rustix::fs::OFlags;

use crate::entry::{Collector, Entry, EntryError, EntryPath, Limits};
use crate::skill::{Skill, SkillError};

/// Why a folder could not be read as a skill.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A name, kind or amount that a skill may not have.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The files are no skill.
    #[error(transparent)]
    Skill(#[from] SkillError),
    /// The disk said no.
    #[error("could not read `{path}`")]
    Io {
        /// Path below the skill's folder, `.` for itself.
        path: String,
        /// What it said.
        source: io::Error,
    },
}

/// Why a skill could not be written.
#[derive(Debug, thiserror::Error)]
#[error("could not write `{path}`")]
pub struct WriteError {
    /// Path below the folder that was written into.
    pub path: String,
    /// What the disk said.
    pub source: io::Error,
}

impl Skill {
    /// Reads the skill that `folder` holds, called `name` where it lies. Symbolic links and special files are refused,
    /// not followed; what lies outside `folder` cannot be reached.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn from_dir(folder: &Dir, name: Option<&str>, limits: &Limits) -> Result<Self, ReadError> {
        let mut collector = Collector::new(limits.clone());
        walk(folder, "", &mut collector)?;
        Ok(Skill::from_entries(collector.finish(), name)?)
    }

    /// Writes the skill's files into a new folder `name` of `parent`: files 0444 or 0555, so that a slip does not change
    /// them. The folder appears whole or not at all.
    ///
    /// # Errors
    /// [`WriteError`]; also when `name` exists already. Nothing is left behind.
    pub fn write_into(&self, parent: &Dir, name: &str) -> Result<(), WriteError> {
        let partial = format!(".{name}.partial-{}", std::process::id());
        let written = self.write_partial(parent, &partial).and_then(|()| {
            let fail = |source| WriteError { path: name.to_owned(), source };
            if parent.symlink_metadata(name).is_ok() {
                return Err(fail(io::ErrorKind::AlreadyExists.into()));
            }
            parent.rename(&partial, parent, name).map_err(fail)
        });
        match written {
            Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists && error.path == partial => Err(error),
            Err(error) => {
                parent.remove_dir_all(&partial).map_err(|source| WriteError { path: partial, source })?;
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    fn write_partial(&self, parent: &Dir, partial: &str) -> Result<(), WriteError> {
        let fail = |path: &str| {
            let path = path.to_owned();
            move |source| WriteError { path, source }
        };
        parent.create_dir(partial).map_err(fail(partial))?;
        let folder = parent.open_dir(partial).map_err(fail(partial))?;
        for entry in self.entries() {
            let path = entry.path.as_str();
            if let Some((above, _)) = path.rsplit_once('/') {
                folder.create_dir_all(above).map_err(fail(above))?;
            }
            let mode = if entry.executable { 0o555 } else { 0o444 };
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(mode);
            let mut file = folder.open_with(path, &options).map_err(fail(path))?;
            file.write_all(&entry.content).map_err(fail(path))?;
            // The mode at creation is cut by the umask; a skill may be read by another user than it was written by.
            file.set_permissions(cap_std::fs::Permissions::from_mode(mode)).map_err(fail(path))?;
            file.sync_all().map_err(fail(path))?;
        }
        Ok(())
    }
}

fn walk(folder: &Dir, prefix: &str, collector: &mut Collector) -> Result<(), ReadError> {
    let fail = |path: &str| {
        let path = if path.is_empty() { ".".to_owned() } else { path.to_owned() };
        move |source| ReadError::Io { path, source }
    };
    for entry in folder.entries().map_err(fail(prefix))? {
        let entry = entry.map_err(fail(prefix))?;
        let name = entry.file_name();
        let bytes = std::os::unix::ffi::OsStrExt::as_bytes(name.as_os_str());
        let full = [prefix.as_bytes(), if prefix.is_empty() { b"" } else { b"/" }, bytes].concat();
        let path = EntryPath::new(&full)?;
        let kind = entry.file_type().map_err(fail(path.as_str()))?;
        if kind.is_dir() {
            collector.folder(&path)?;
            let below = folder.open_dir(&name).map_err(fail(path.as_str()))?;
            walk(&below, path.as_str(), collector)?;
        } else if kind.is_file() {
            let read = read_file(folder, &name, &path, collector)?;
            collector.file(read)?;
        } else {
            let kind = if kind.is_symlink() { "symbolic link" } else { "special file" };
            return Err(EntryError::Kind { name: path.as_str().to_owned(), kind }.into());
        }
    }
    Ok(())
}

fn read_file(
    folder: &Dir,
    name: &std::ffi::OsStr,
    path: &EntryPath,
    collector: &Collector,
) -> Result<Entry, ReadError> {
    let fail = |source| ReadError::Io { path: path.as_str().to_owned(), source };
    // What the listing called a file may be something else by now: a link is refused by the flag, a pipe does not block.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    let file = folder.open_with(name, &options).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err(EntryError::Kind { name: path.as_str().to_owned(), kind: "special file" }.into());
    }
    let mut content = Vec::new();
    // One byte more than fits: a file may grow while it is read.
    file.take(collector.room() + 1).read_to_end(&mut content).map_err(fail)?;
    if content.len() as u64 > collector.room() {
        return Err(collector.too_many_bytes().into());
    }
    Ok(Entry { path: path.clone(), executable: metadata.permissions().mode() & 0o100 != 0, content })
}

#[cfg(test)]
mod tests;
