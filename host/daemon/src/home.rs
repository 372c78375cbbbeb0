//! The daemon's folder, and the lock that makes it the only daemon there.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// `STIGMER_HOME`: a folder of the person, closed to everybody else (0700).
#[derive(Debug, Clone)]
pub struct Home {
    path: PathBuf,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// It or a folder in it could not be made.
    #[error("could not make `{path}`")]
    Make {
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// It is there, but no folder.
    #[error("`{0}` is not a folder")]
    NotFolder(PathBuf),
    /// It belongs to somebody else.
    #[error("`{path}` belongs to user {owner}")]
    Owner {
        /// The folder.
        path: PathBuf,
        /// Its owner's uid.
        owner: u32,
    },
    /// A file of ours could not be opened.
    #[error("could not open `{path}`")]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Another daemon holds the lock.
    #[error("a daemon already serves `{home}` (pid {pid})")]
    Held {
        /// The folder.
        home: PathBuf,
        /// The pid that the holder wrote; `?` when it wrote none yet.
        pid: String,
    },
}

impl Home {
    /// Makes the folder and its parts where they are missing, and closes it to others.
    ///
    /// # Errors
    /// [`HomeError`], one variant per case. A folder of another user is refused, not changed.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, HomeError> {
        let path = path.into();
        make(&path)?;
        // Resolved once, so that every later name, and what commands see, is the same string.
        let path = std::fs::canonicalize(&path).map_err(|source| HomeError::Make { path: path.clone(), source })?;
        let home = Home { path };
        close(&home.path)?;
        for part in ["run", "logs", "skills", "plugins", "cache", "keys"] {
            make(&home.path.join(part))?;
            close(&home.path.join(part))?;
        }
        Ok(home)
    }

    /// The folder, canonical.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The unix socket of the local API.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path.join("daemon.sock")
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join("state.db")
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.path.join("audit.jsonl")
    }

    /// Unpacked skills, one folder per digest.
    #[must_use]
    pub fn skills(&self) -> PathBuf {
        self.path.join("skills")
    }

    /// What one execution keeps outside its jail; empty after it ended.
    #[must_use]
    pub fn run(&self, execution: &crate::ExecutionId) -> PathBuf {
        self.path.join("run").join(execution.as_str())
    }

    /// Takes the lock for as long as the result lives. The kernel's `flock` is the truth; the pid in the file is for
    /// people.
    ///
    /// # Errors
    /// [`HomeError::Held`] when another daemon has it.
    pub fn lock(&self) -> Result<Lock, HomeError> {
        let path = self.path.join("daemon.lock");
        let open = |source: std::io::Error| HomeError::Open { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(open)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() { "?".to_owned() } else { pid.trim().to_owned() };
                return Err(HomeError::Held { home: self.path.clone(), pid });
            }
            Err(errno) => return Err(open(errno.into())),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(open)?;
        writeln!(file, "{}", std::process::id()).map_err(open)?;
        Ok(Lock { _file: file })
    }
}

/// The right to be the daemon of a [`Home`]; given back when dropped, or by the kernel when the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

fn make(path: &Path) -> Result<(), HomeError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| HomeError::Make { path: path.to_owned(), source })
}

fn close(path: &Path) -> Result<(), HomeError> {
    let failed = |source| HomeError::Make { path: path.to_owned(), source };
    let found = std::fs::symlink_metadata(path).map_err(failed)?;
    if !found.is_dir() {
        return Err(HomeError::NotFolder(path.to_owned()));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(HomeError::Owner { path: path.to_owned(), owner: found.uid() });
    }
    if found.mode() & 0o777 != 0o700 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests build their own fixtures")]
mod tests {
    use super::*;

    #[test]
    fn closes_the_folder_to_others_and_is_held_once() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("home");
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let home = Home::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        let lock = home.lock().unwrap();
        match home.lock() {
            Err(HomeError::Held { pid, .. }) => assert_eq!(pid, std::process::id().to_string()),
            other => panic!("{other:?}"),
        }
        drop(lock);
        home.lock().unwrap();
    }

    #[test]
    fn a_file_in_its_place_is_named() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("home");
        std::fs::write(&path, "").unwrap();
        assert!(matches!(Home::open(&path), Err(HomeError::Make { .. })));
    }
}
