//! What survives: one SQLite database, one thread that writes it, readers beside it.
//!
//! A write that was acknowledged survives `kill -9` of any process: the write-ahead log is handed to the kernel at each
//! commit (`synchronous = NORMAL`). Power cuts may take the last commits unless [`Durability::PowerCut`] is chosen.

mod approvals;
mod blobs;
mod events;
mod executions;
mod journal;
mod migrations;
mod prune;
mod readers;
mod record;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use rusqlite::{Connection, OpenFlags};

pub use approvals::{Approval, ApprovalState, NewApproval};
pub use blobs::{BlobRef, MAX_BLOB};
pub use events::{MAX_EVENT_BODY, NewEvent, StoredEvent};
pub use executions::{ExecutionRow, NewExecution};
pub use journal::{EntryKind, MAX_RUNNER_BYTES, NewEntry, StoredEntry};
pub use prune::Prunable;
pub use record::{DenialRow, FileRow, Observer, Usage};

use stigmer_secrets::Redactor;

use crate::audit::AuditLog;
use crate::events::Publisher;
use readers::Readers;
use writer::Writer;

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The death of any process. One write to the log per commit.
    #[default]
    ProcessDeath,
    /// A power cut too. One fsync per commit.
    PowerCut,
}

/// The database of one daemon.
pub struct Store {
    writer: Writer,
    readers: Readers,
    audit: Arc<Mutex<AuditLog>>,
    publisher: Arc<Publisher>,
    secrets: OnceLock<Secrets>,
}

/// Gives the redactor of this moment: keys come and go while the daemon runs.
type Secrets = Box<dyn Fn() -> Redactor + Send + Sync>;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file could not be opened as a database.
    #[error("could not open the database `{path}`")]
    Open {
        /// The file.
        path: PathBuf,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
    /// A newer program wrote it.
    #[error("the database has schema {found}, this program knows {known}")]
    Newer {
        /// Its schema.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// A migration failed; the database is as it was before it.
    #[error("could not bring the database to schema {to}")]
    Migrate {
        /// The schema that was to be reached.
        to: i64,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
    /// A statement failed.
    #[error("the database refused a statement")]
    Statement(#[from] rusqlite::Error),
    /// The batch in which the write stood was not committed. Nothing of it is stored.
    #[error("the database could not commit: {0}")]
    Commit(String),
    /// The audit log could not be written; the write that needed it is not stored.
    #[error("could not write the audit log")]
    Audit(#[from] crate::audit::AuditError),
    /// There is no thread for the writer.
    #[error("could not start the thread that writes")]
    Writer(#[source] std::io::Error),
    /// The writer has ended.
    #[error("the store is closed")]
    Closed,
    /// There is no such execution.
    #[error("there is no execution `{0}`")]
    NoExecution(String),
    /// The execution has ended and takes nothing more.
    #[error("execution `{0}` has ended")]
    Ended(String),
    /// More than an execution may store.
    #[error("{what} takes {bytes} bytes; at most {limit} are kept")]
    TooMuch {
        /// `an event`, `a blob`, `the execution`.
        what: &'static str,
        /// How many it would be.
        bytes: u64,
        /// The bound.
        limit: u64,
    },
    /// An entry id that is taken by another content.
    #[error("entry `{0}` is stored with another content")]
    Conflict(String),
    /// A row that this program cannot have written.
    #[error("the database holds a row that makes no sense: {0}")]
    Corrupt(String),
}

impl Store {
    /// Opens or makes the database at `path`, brings it to this program's schema and starts the writer.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer program wrote it; nothing is changed then.
    pub fn open(
        path: &Path,
        durability: Durability,
        mut audit: AuditLog,
        publisher: Arc<Publisher>,
    ) -> Result<Self, StoreError> {
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        let level = match durability {
            Durability::ProcessDeath => "NORMAL",
            Durability::PowerCut => "FULL",
        };
        let open = |source| StoreError::Open { path: path.to_owned(), source };
        migrations::refuse_newer(&connection)?;
        // Counts only before the first table is made: what is removed later can then be given back.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(open)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
        connection.pragma_update(None, "synchronous", level).map_err(open)?;
        migrations::run(&mut connection)?;
        audit.anchor(record::audit_head(&connection)?)?;
        Ok(Store {
            readers: Readers::new(path.to_owned()),
            writer: Writer::start(connection)?,
            audit: Arc::new(Mutex::new(audit)),
            publisher,
            secrets: OnceLock::new(),
        })
    }

    /// Takes the secrets that `redactor` knows out of everything that is stored from now on: events, journal, blobs,
    /// outcomes, denials and their audit rows. Only the first call counts.
    pub fn redact_with(&self, redactor: impl Fn() -> Redactor + Send + Sync + 'static) {
        self.secrets.get_or_init(|| Box::new(redactor));
    }

    /// Takes out what is known to be secret at this moment.
    pub(crate) fn redactor(&self) -> Redactor {
        self.secrets.get().map(|redactor| redactor()).unwrap_or_default()
    }

    /// Where the store announces what it has committed.
    #[must_use]
    pub fn publisher(&self) -> &Arc<Publisher> {
        &self.publisher
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let open = |source| StoreError::Open { path: path.to_owned(), source };
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(open)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(open)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(open)?;
    Ok(connection)
}

#[cfg(test)]
pub(crate) mod tests;
