//! Bytes by their digest, shared by all executions that have them.

use bytes::Bytes;
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{Store, StoreError, events, journal};
use crate::id::ExecutionId;

/// Largest blob, in bytes.
pub const MAX_BLOB: usize = 8 << 20;

/// Names a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlobRef {
    /// Digest of its content.
    pub sha256: [u8; 32],
    /// Length in bytes.
    pub size: u64,
}

impl BlobRef {
    /// The name of `data`.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        BlobRef { sha256: Sha256::digest(data).into(), size: data.len() as u64 }
    }
}

impl Store {
    /// Stores bytes for `execution`, without the secrets that are known; they count against what it may store, once. The
    /// name is that of what is stored.
    ///
    /// # Errors
    /// [`StoreError::TooMuch`] above [`MAX_BLOB`], or when the execution has stored too much in all.
    pub async fn put_blob(&self, execution: &ExecutionId, data: Bytes) -> Result<BlobRef, StoreError> {
        let data = events::clean(&self.redactor(), &data);
        if data.len() > MAX_BLOB {
            return Err(StoreError::TooMuch { what: "a blob", bytes: data.len() as u64, limit: MAX_BLOB as u64 });
        }
        let name = BlobRef::of(&data);
        let id = execution.clone();
        self.write_for(execution, move |connection| {
            connection.execute("INSERT OR IGNORE INTO blobs VALUES (?1, ?2)", params![&name.sha256[..], &data[..]])?;
            let new = connection
                .execute("INSERT OR IGNORE INTO blob_owners VALUES (?1, ?2)", params![id.as_str(), &name.sha256[..]])?;
            if new == 1 {
                journal::count_bytes(connection, id.as_str(), name.size)?;
            }
            Ok(name)
        })
        .await
    }

    /// Bytes that `execution` stored; `None` when it stored none under this name.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn blob(&self, execution: &ExecutionId, sha256: [u8; 32]) -> Result<Option<Bytes>, StoreError> {
        let id = execution.clone();
        self.read(move |connection| {
            let query = "SELECT data FROM blobs JOIN blob_owners USING (sha256) WHERE execution = ?1 AND sha256 = ?2";
            let data: Option<Vec<u8>> =
                connection.query_row(query, params![id.as_str(), &sha256[..]], |row| row.get(0)).optional()?;
            Ok(data.map(Bytes::from))
        })
        .await
    }
}
