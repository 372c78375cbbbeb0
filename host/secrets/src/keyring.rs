//! The OS keyring, as a source that may hang.
//!
//! A keyring call can block for ever (no agent, a dialog that nobody sees). So each call runs in a detached thread that
//! is given up after [`PATIENCE`], with no lock held; after the first give-up the keyring is not asked again, which
//! bounds the threads that are left behind to one per caller that was waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use crate::name::SecretName;
use crate::value::{SecretValue, SecretValueError};

/// How long one keyring call may take.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The service under which our entries are filed; the user field is the [`SecretName`].
pub const SERVICE: &str = "stigmer";

/// User field of the entry that the probe writes and deletes again: not a [`SecretName`], so no secret can be hit.
const PROBE: &str = "probe:";

/// Why the keyring could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// It refused, or is not there.
    #[error("the keyring could not {verb} `{entry}`")]
    Failed {
        /// `read`, `write` or `delete`.
        verb: &'static str,
        /// The entry's user field.
        entry: String,
        /// What the keyring said.
        #[source]
        source: StoreError,
    },
    /// It did not answer within the time limit, now or at an earlier call.
    #[error("the keyring did not answer within {limit:?}")]
    GaveUp {
        /// The limit.
        limit: Duration,
    },
    /// It gave back something else than was written.
    #[error("the keyring does not keep what is written to it")]
    NotKept,
    /// What it holds cannot be a secret.
    #[error("the keyring's entry `{entry}` is unusable")]
    Value {
        /// The entry's user field.
        entry: String,
        /// Why.
        #[source]
        source: SecretValueError,
    },
    /// No thread for the call.
    #[error("could not start a thread for the keyring")]
    Thread(#[source] std::io::Error),
}

impl KeyringError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let without = "an environment variable or `secret_command` works without a keyring";
        Some(match self {
            KeyringError::Failed { .. } | KeyringError::GaveUp { .. } => {
                format!("if it is locked, unlock it and try again; {without}")
            }
            KeyringError::NotKept | KeyringError::Value { .. } | KeyringError::Thread(_) => without.to_owned(),
        })
    }
}

/// A store's own error.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// What a keyring offers; blocking, possibly for ever. `entry` is the user field.
pub trait Store: Send + Sync + 'static {
    /// The value, `None` when there is no such entry.
    ///
    /// # Errors
    /// What the keyring said.
    fn read(&self, entry: &str) -> Result<Option<String>, StoreError>;
    /// Creates or replaces an entry.
    ///
    /// # Errors
    /// What the keyring said.
    fn write(&self, entry: &str, value: &str) -> Result<(), StoreError>;
    /// Removes an entry; `false` when there was none.
    ///
    /// # Errors
    /// What the keyring said.
    fn delete(&self, entry: &str) -> Result<bool, StoreError>;
}

/// The keyring of this system: Secret Service on Linux, Keychain on macOS, the credential manager on Windows.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsStore;

impl Store for OsStore {
    fn read(&self, entry: &str) -> Result<Option<String>, StoreError> {
        match open(entry)?.get_password() {
            Ok(value) => Ok(Some(value)),
            Err(keyring::v1::Error::NoEntry) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn write(&self, entry: &str, value: &str) -> Result<(), StoreError> {
        Ok(open(entry)?.set_password(value)?)
    }

    fn delete(&self, entry: &str) -> Result<bool, StoreError> {
        match open(entry)?.delete_credential() {
            Ok(()) => Ok(true),
            Err(keyring::v1::Error::NoEntry) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn open(entry: &str) -> Result<keyring::v1::Entry, StoreError> {
    if let Err(error) = keyring::v1::Entry::store_status() {
        // The status is kept for the process's life and cannot be moved out of its place.
        return Err(error.to_string().into());
    }
    Ok(keyring::v1::Entry::new(SERVICE, entry)?)
}

/// A keyring behind a time limit.
pub struct Keyring {
    store: Arc<dyn Store>,
    patience: Duration,
    given_up: AtomicBool,
}

impl Keyring {
    /// The keyring of this system, [`PATIENCE`] per call.
    #[must_use]
    pub fn of_system() -> Self {
        Keyring::new(Arc::new(OsStore), PATIENCE)
    }

    /// A keyring over any store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, patience: Duration) -> Self {
        Keyring { store, patience, given_up: AtomicBool::new(false) }
    }

    /// Writes, reads and deletes an entry of our own: the only proof that a keyring works here.
    ///
    /// # Errors
    /// The step that failed.
    pub fn probe(&self) -> Result<(), KeyringError> {
        // Two probes at once must not delete each other's entry.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let entry = format!("{PROBE}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        const WRITTEN: &str = "written by a check, safe to delete";
        // The entry's name says nothing to anybody.
        let unnamed = |error| match error {
            KeyringError::Failed { verb, source, .. } => {
                KeyringError::Failed { verb, entry: "an entry for trial".to_owned(), source }
            }
            error => error,
        };
        self.call("write", &entry, |store, entry| store.write(entry, WRITTEN)).map_err(unnamed)?;
        let read = self.call("read", &entry, |store, entry| store.read(entry)).map_err(unnamed);
        self.call("delete", &entry, |store, entry| store.delete(entry)).map_err(unnamed)?;
        if read?.as_deref() == Some(WRITTEN) { Ok(()) } else { Err(KeyringError::NotKept) }
    }

    /// The secret, `None` when the keyring has no entry of that name.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn get(&self, name: &SecretName) -> Result<Option<SecretValue>, KeyringError> {
        // Made a `SecretValue` inside the thread: a value that arrives after the give-up is wiped there.
        let read = self.call("read", name.as_str(), |store, entry| Ok(store.read(entry)?.map(SecretValue::new)))?;
        read.transpose().map_err(|source| KeyringError::Value { entry: name.to_string(), source })
    }

    /// Stores the secret, replacing an older value.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn set(&self, name: &SecretName, value: &SecretValue) -> Result<(), KeyringError> {
        let copy = zeroize::Zeroizing::new(value.expose().to_owned());
        self.call("write", name.as_str(), move |store, entry| store.write(entry, &copy))
    }

    /// Removes the secret; `false` when there was none.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn delete(&self, name: &SecretName) -> Result<bool, KeyringError> {
        self.call("delete", name.as_str(), |store, entry| store.delete(entry))
    }

    fn call<T: Send + 'static>(
        &self,
        verb: &'static str,
        entry: &str,
        work: impl FnOnce(&dyn Store, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, KeyringError> {
        let limit = self.patience;
        if self.given_up.load(Ordering::Acquire) {
            return Err(KeyringError::GaveUp { limit });
        }
        let (store, entry) = (Arc::clone(&self.store), entry.to_owned());
        let (send, receive) = sync_channel(1);
        let name = entry.clone();
        std::thread::Builder::new()
            .name("keyring".to_owned())
            // The receiver is gone when we gave up: then the answer is dropped here, and a secret in it wiped.
            .spawn(move || drop(send.send(work(&*store, &entry))))
            .map_err(KeyringError::Thread)?;
        match receive.recv_timeout(limit) {
            Ok(done) => done.map_err(|source| KeyringError::Failed { verb, entry: name, source }),
            Err(RecvTimeoutError::Timeout) => {
                self.given_up.store(true, Ordering::Release);
                Err(KeyringError::GaveUp { limit })
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(KeyringError::Failed { verb, entry: name, source: "its thread ended early".into() })
            }
        }
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("given_up", &self.given_up).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
