//! What jailed processes made of components, kept under a keyed hash.
//!
//! A file is its keyed hash (HMAC-SHA256, RFC 2104) and then the content. The hash covers what the content is, the
//! component's digest, the engine's compatibility hash, our version and the content's digest. The key lies in
//! `keys/cache` and never enters a jail: nothing that a runner writes can become code of another.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

/// Bytes of the key and of a hash.
const KEY: usize = 32;
/// Largest file that is taken back, in bytes.
const MAX_KEPT: u64 = 512 << 20;
/// Code kept in the cache, in files; the oldest go first.
const MAX_FILES: usize = 256;

/// What is kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind<'a> {
    /// Compiled code.
    Code,
    /// The inspection under this plugin name.
    Tools(&'a str),
}

/// Why the cache cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The key cannot be read or made.
    #[error("could not use the cache's key `{path}`")]
    Key {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file of the cache cannot be read or written.
    #[error("could not use `{path}` in the cache")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

pub(super) struct Cache {
    folder: PathBuf,
    key: [u8; KEY],
    compatibility: u64,
}

impl Cache {
    pub(super) fn open(home: &Path, compatibility: u64) -> Result<Cache, CacheError> {
        let path = home.join("keys").join("cache");
        let key = key(&path).map_err(|source| CacheError::Key { path, source })?;
        Ok(Cache { folder: home.join("cache"), key, compatibility })
    }

    /// What was kept, if it is whole and ours; anything else counts as absent.
    pub(super) fn get(&self, kind: Kind<'_>, component: &[u8; 32]) -> Result<Option<Bytes>, CacheError> {
        let path = self.path(kind, component);
        let failed = |source| CacheError::File { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut content = Vec::new();
        file.take(MAX_KEPT).read_to_end(&mut content).map_err(failed)?;
        let Some((hash, body)) = content.split_at_checked(KEY) else { return Ok(None) };
        if self.hash(kind, component, body).verify_slice(hash).is_err() {
            // Another key, a cut file, or somebody else's: made anew.
            tracing::warn!(path = %path.display(), "a file in the cache is not ours, or damaged");
            return Ok(None);
        }
        Ok(Some(Bytes::from(content).slice(KEY..)))
    }

    pub(super) fn put(&self, kind: Kind<'_>, component: &[u8; 32], body: &[u8]) -> Result<(), CacheError> {
        let path = self.path(kind, component);
        let partial = self.folder.join(format!(".partial-{}", ulid::Ulid::new()));
        let write = || {
            let _lock = self.lock()?;
            self.prune()?;
            let hash = self.hash(kind, component, body).finalize().into_bytes();
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
            file.write_all(&hash)?;
            file.write_all(body)?;
            std::fs::rename(&partial, &path)
        };
        let written = write();
        if written.is_err() {
            // What was begun is of no use; that it could not be written is said below.
            let _ = std::fs::remove_file(&partial);
        }
        written.map_err(|source| CacheError::File { path, source })
    }

    fn hash(&self, kind: Kind<'_>, component: &[u8; 32], body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        let (what, name) = match kind {
            Kind::Code => ("code", ""),
            Kind::Tools(name) => ("tools", name),
        };
        // Each part with its length, so that no two lists of parts give the same bytes.
        let parts: [&[u8]; 6] = [
            what.as_bytes(),
            name.as_bytes(),
            component,
            &self.compatibility.to_le_bytes(),
            env!("CARGO_PKG_VERSION").as_bytes(),
            &Sha256::digest(body),
        ];
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }

    fn path(&self, kind: Kind<'_>, component: &[u8; 32]) -> PathBuf {
        let digest = crate::hex(component);
        self.folder.join(match kind {
            Kind::Code => format!("{digest}.code"),
            Kind::Tools(name) => format!("{digest}.{}.tools", &crate::hex(&Sha256::digest(name))[..8]),
        })
    }

    fn lock(&self) -> io::Result<File> {
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.folder.join(".lock"))?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    }

    /// Keeps the cache within [`MAX_FILES`].
    fn prune(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        files.sort();
        for (_, path) in files.iter().take(files.len().saturating_sub(MAX_FILES - 1)) {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// Reads the key, or makes one that appears whole or not at all.
fn key(path: &Path) -> io::Result<[u8; KEY]> {
    match read_key(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    let mut key = [0; KEY];
    let mut filled = 0;
    while filled < KEY {
        filled += rustix::rand::getrandom(&mut key[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    let partial = path.with_extension(ulid::Ulid::new().to_string());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    file.write_all(&key)?;
    // Another process may have been faster: then its key is the key.
    let linked = std::fs::hard_link(&partial, path);
    std::fs::remove_file(&partial)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read_key(path),
    }
}

fn read_key(path: &Path) -> io::Result<[u8; KEY]> {
    let mut key = [0; KEY];
    let mut file = File::open(path)?;
    file.read_exact(&mut key)?;
    Ok(key)
}
