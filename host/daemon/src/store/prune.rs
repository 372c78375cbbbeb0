//! Taking executions that have ended out of the database. Their rows in the audit log stay.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use super::{Store, StoreError};
use crate::id::ExecutionId;

/// Free pages that are given back to the file system in one commit, between which others write: 16 MiB at SQLite's
/// default page size.
const PAGES: u32 = 4096;

/// What could be removed, or was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prunable {
    /// Newest first.
    pub executions: Vec<ExecutionId>,
    /// What their runners had stored, in bytes; blobs that others have as well count.
    pub bytes: u64,
    /// Executions that are old enough and stay, because one that stays goes on from them.
    pub kept: u64,
}

impl Store {
    /// Executions that ended before `before_ms` (Unix milliseconds), but for those whose conversation a later one goes on
    /// with that stays.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn prunable(&self, before_ms: i64) -> Result<Prunable, StoreError> {
        self.read(move |connection| {
            // In the order in which they were stored, backwards: whoever goes on from one comes before it.
            let mut statement = connection.prepare_cached(
                "SELECT id, parent, state = 'ended' AND ended_ms < ?1, runner_bytes FROM executions ORDER BY rowid DESC",
            )?;
            let mut rows = statement.query([before_ms])?;
            let (mut found, mut needed) = (Prunable::default(), HashSet::new());
            while let Some(row) = rows.next()? {
                let (id, parent, old, bytes): (String, String, bool, i64) =
                    (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                if !old || needed.contains(&id) {
                    found.kept += u64::from(old);
                    needed.insert(parent);
                    continue;
                }
                found.bytes = found.bytes.saturating_add(bytes.max(0).cast_unsigned());
                let corrupt = |_| StoreError::Corrupt(format!("execution `{id}`: name"));
                found.executions.push(ExecutionId::parse(&id).map_err(corrupt)?);
            }
            Ok(found)
        })
        .await
    }

    /// Removes what [`Store::prunable`] names, one execution per commit, with events, journal, record and the blobs that no
    /// other has. One that somebody began to go on from meanwhile stays. The freed space goes back to the file system.
    ///
    /// # Errors
    /// [`StoreError::Statement`], [`StoreError::Commit`]; what was removed until then is gone.
    pub async fn prune(&self, before_ms: i64) -> Result<Prunable, StoreError> {
        let mut found = self.prunable(before_ms).await?;
        let mut removed = Vec::with_capacity(found.executions.len());
        for execution in found.executions {
            let id = execution.to_string();
            if self.writer.write(move |connection| remove(connection, &id, before_ms), |_| {}).await? {
                removed.push(execution);
            } else {
                found.kept += 1;
            }
        }
        while self.writer.write(give_back, |_| {}).await? {}
        Ok(Prunable { executions: removed, ..found })
    }
}

/// Whether it was removed.
fn remove(connection: &Connection, id: &str, before_ms: i64) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached("SELECT sha256 FROM blob_owners WHERE execution = ?1")?;
    let blobs: Vec<Vec<u8>> = statement.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    // Looked at once more: it is decided here, and nowhere else.
    let removed = connection.execute(
        "DELETE FROM executions WHERE id = ?1 AND state = 'ended' AND ended_ms < ?2
         AND NOT EXISTS (SELECT 1 FROM executions AS later WHERE later.parent = ?1 AND later.parent <> '')",
        params![id, before_ms],
    )?;
    if removed == 0 {
        return Ok(false);
    }
    let mut statement = connection.prepare_cached(
        "DELETE FROM blobs WHERE sha256 = ?1 AND NOT EXISTS (SELECT 1 FROM blob_owners WHERE blob_owners.sha256 = ?1)",
    )?;
    for blob in blobs {
        statement.execute([blob])?;
    }
    Ok(true)
}

/// Gives some free pages back; false when none is left, or when the database was made without the list that this takes.
fn give_back(connection: &Connection) -> Result<bool, StoreError> {
    let free =
        |connection: &Connection| connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0));
    let before = free(connection)?;
    // Each step of the statement frees pages (pragma.html): it is read to its end.
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    let after = free(connection)?;
    Ok(after > 0 && after < before)
}

#[cfg(test)]
mod tests;
