//! The folder of one execution below full level: home and scratch of its commands.

use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::claim::Claim;
use super::left;

/// Marks a scratch folder as made by us, so that no other folder is ever taken for one.
const MARKER: &str = ".stigmer-scratch";

/// `STIGMER_HOME/run/<id>`, with `home` and `tmp` in it, removed when this value goes. When the process is killed before
/// that, the next start removes it.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Goes after the folder did.
    _claim: Claim,
}

impl RunFolder {
    /// Makes the folder, readable by the person alone, after a [`RunFolder::sweep`].
    ///
    /// # Errors
    /// When it cannot be made, or is there already.
    pub fn create(stigmer_home: &Path, id: &str) -> io::Result<RunFolder> {
        let folder = RunFolder::bare(stigmer_home, id)?;
        for name in ["home", "tmp"] {
            std::fs::DirBuilder::new().mode(0o700).create(folder.path.join(name))?;
        }
        Ok(folder)
    }

    /// As [`RunFolder::create`], with nothing in it.
    ///
    /// # Errors
    /// When it cannot be made, or is there already.
    pub fn bare(stigmer_home: &Path, id: &str) -> io::Result<RunFolder> {
        let run = stigmer_home.join("run");
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&run)?;
        RunFolder::sweep(stigmer_home)?;
        let path = run.join(id);
        let claim = Claim::make(&path)?;
        Ok(RunFolder { path, _claim: claim })
    }

    /// Removes the folders in `STIGMER_HOME/run` whose owners were killed: those that no living process holds, after
    /// [`RunFolder::end_left`] for each. One that
    /// cannot be looked at or removed stays, for the next sweep; it is in nobody's way, since no name comes twice.
    ///
    /// # Errors
    /// When `STIGMER_HOME/run` cannot be listed.
    pub fn sweep(stigmer_home: &Path) -> io::Result<()> {
        let entries = match std::fs::read_dir(stigmer_home.join("run")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries.flatten() {
            if let Ok(Some(_claim)) = Claim::left(&entry.path()) {
                left::end(&entry.path());
                remove(&entry.path());
            }
        }
        Ok(())
    }

    /// Ends commands of this execution that outlived their init and their stage. For an init that did not end as it was
    /// told to; after one that did there are none. A command that changed the environment it was given is not found: it
    /// lives on inside its walls.
    pub fn end_left(&self) {
        left::end(&self.path);
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
    fn drop(&mut self) {
        remove(&self.path);
    }
}

#[expect(clippy::disallowed_methods, reason = "our own folder, by its own path")]
fn remove(folder: &Path) {
    // Read-only folders that a command left behind are ours to open up again.
    if std::fs::remove_dir_all(folder).is_err() {
        open_up(folder, 0);
        let _ = std::fs::remove_dir_all(folder);
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
