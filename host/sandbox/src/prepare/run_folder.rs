//! The folder of one execution below full level: home and scratch of its commands.

use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Marks a scratch folder as made by us, so that no other folder is ever taken for one.
const MARKER: &str = ".stigmer-scratch";

/// `STIGMER_HOME/run/<id>`, with `home` and `tmp` in it, removed when this value goes.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder, readable by the person alone.
    ///
    /// # Errors
    /// When it cannot be made, or is there already.
    pub fn create(stigmer_home: &Path, id: &str) -> io::Result<RunFolder> {
        let path = stigmer_home.join("run").join(id);
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700).recursive(true).create(stigmer_home.join("run"))?;
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700).create(&path)?;
        let folder = RunFolder { path };
        for name in ["home", "tmp"] {
            builder.create(folder.path.join(name))?;
        }
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the files that the plan wants in the home.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(files: &[(PathBuf, Vec<u8>)]) -> io::Result<()> {
        for (path, content) in files {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
            io::Write::write_all(&mut file, content)?;
        }
        Ok(())
    }
}

impl Drop for RunFolder {
    #[expect(clippy::disallowed_methods, reason = "our own folder, by its own path")]
    fn drop(&mut self) {
        // Read-only folders that a command left behind are ours to open up again.
        if std::fs::remove_dir_all(&self.path).is_err() {
            open_up(&self.path, 0);
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Depth to which folders are opened up for removal.
const MAX_DEPTH: usize = 64;

fn open_up(folder: &Path, depth: usize) {
    use std::os::unix::fs::PermissionsExt;
    if depth > MAX_DEPTH {
        return;
    }
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        open_up(&entry.path(), depth + 1);
    }
}

/// Makes `folder` a scratch folder that outlives one call, or takes one that we made before.
///
/// # Errors
/// When something else is there: an existing folder without our mark is never used as scratch.
pub fn scratch_folder(folder: &Path) -> io::Result<PathBuf> {
    let mut builder = std::fs::DirBuilder::new();
    match builder.mode(0o700).create(folder) {
        Ok(()) => {
            let mut mark = std::fs::OpenOptions::new();
            mark.write(true).create_new(true).mode(0o600).open(folder.join(MARKER))?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if !std::fs::symlink_metadata(folder.join(MARKER)).is_ok_and(|mark| mark.is_file()) {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "the folder exists and was not made as a scratch folder",
                ));
            }
        }
        Err(error) => return Err(error),
    }
    std::fs::canonicalize(folder)
}
