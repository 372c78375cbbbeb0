//! The journal: what a runner did, so that another can go on from it.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::{BlobRef, NewEvent, Store, StoreError, events};
use crate::id::ExecutionId;

/// Most bytes that one execution's runner may store: journal, events and blobs together.
pub const MAX_RUNNER_BYTES: u64 = 256 << 20;

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A request is about to be sent.
    TurnBegin,
    /// The model's whole answer.
    TurnEnd,
    /// A call is about to start.
    CallBegin,
    /// A call came to its end.
    CallEnd,
}

impl EntryKind {
    fn name(self) -> &'static str {
        match self {
            EntryKind::TurnBegin => "turn_begin",
            EntryKind::TurnEnd => "turn_end",
            EntryKind::CallBegin => "call_begin",
            EntryKind::CallEnd => "call_end",
        }
    }

    fn from_name(name: &str) -> Result<Self, StoreError> {
        [EntryKind::TurnBegin, EntryKind::TurnEnd, EntryKind::CallBegin, EntryKind::CallEnd]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| StoreError::Corrupt(format!("journal kind `{name}`")))
    }
}

/// An entry before it has its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The runner's name for it, unique in its execution; repeating it changes nothing.
    pub id: String,
    /// What it says.
    pub kind: EntryKind,
    /// Turn, from 1.
    pub turn: u32,
    /// Call; empty for turns.
    pub call: String,
    /// JSON object.
    pub body: Bytes,
    /// What was too long for the body; stored before.
    pub blobs: Vec<BlobRef>,
}

/// An entry with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// From 1, without gaps, per execution.
    pub seq: u64,
    /// The entry.
    pub entry: NewEntry,
}

/// Counts bytes that a runner stored.
pub(super) fn count_bytes(connection: &Connection, execution: &str, bytes: u64) -> Result<(), StoreError> {
    let query = "UPDATE executions SET runner_bytes = runner_bytes + ?2 WHERE id = ?1 RETURNING runner_bytes";
    let total: i64 = connection.query_row(query, params![execution, bytes.cast_signed()], |row| row.get(0))?;
    let total = total.cast_unsigned();
    if total > MAX_RUNNER_BYTES {
        return Err(StoreError::TooMuch { what: "the execution", bytes: total, limit: MAX_RUNNER_BYTES });
    }
    Ok(())
}

/// Refuses what comes from a runner after its execution ended.
fn refuse_ended(connection: &Connection, execution: &str) -> Result<(), StoreError> {
    let state: String =
        connection.query_row("SELECT state FROM executions WHERE id = ?1", [execution], |row| row.get(0))?;
    if state == "ended" { Err(StoreError::Ended(execution.to_owned())) } else { Ok(()) }
}

fn existing(connection: &Connection, execution: &str, entry: &NewEntry) -> Result<Option<u64>, StoreError> {
    let query = "SELECT seq, kind, body FROM journal WHERE execution = ?1 AND id = ?2";
    let found = connection
        .prepare_cached(query)?
        .query_row(params![execution, entry.id], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Vec<u8>>(2)?))
        })
        .optional()?;
    match found {
        None => Ok(None),
        Some((seq, kind, body)) if kind == entry.kind.name() && body == entry.body => Ok(Some(seq.cast_unsigned())),
        Some(_) => Err(StoreError::Conflict(entry.id.clone())),
    }
}

fn append(
    connection: &Connection,
    execution: &str,
    entries: &[NewEntry],
    events: &[NewEvent],
) -> Result<Vec<u64>, StoreError> {
    refuse_ended(connection, execution)?;
    let mut seqs = Vec::with_capacity(entries.len());
    let query = "SELECT COALESCE(MAX(seq), 0) FROM journal WHERE execution = ?1";
    let mut last: i64 = connection.prepare_cached(query)?.query_row([execution], |row| row.get(0))?;
    let mut bytes = 0;
    let mut repeated = 0;
    for entry in entries {
        if let Some(seq) = existing(connection, execution, entry)? {
            seqs.push(seq);
            repeated += 1;
            continue;
        }
        last += 1;
        let blobs: Vec<u8> =
            entry.blobs.iter().flat_map(|blob| [&blob.sha256[..], &blob.size.to_be_bytes()].concat()).collect();
        connection.prepare_cached("INSERT INTO journal VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(params![
            execution,
            last,
            entry.id,
            entry.kind.name(),
            entry.turn,
            entry.call,
            &entry.body[..],
            blobs
        ])?;
        bytes += (entry.id.len() + entry.call.len() + entry.body.len() + blobs.len()) as u64;
        seqs.push(last.cast_unsigned());
    }
    // A request that was stored before and is only repeated because its answer was lost: its events are stored too.
    if entries.is_empty() || repeated < entries.len() {
        bytes +=
            events.iter().map(|event| (event.kind.len() + event.call.len() + event.body.len()) as u64).sum::<u64>();
        events::insert(connection, execution, events)?;
    }
    count_bytes(connection, execution, bytes)?;
    Ok(seqs)
}

impl Store {
    /// Stores a runner's entries and events in one commit, all or none, and gives the entries' numbers.
    ///
    /// # Errors
    /// [`StoreError::Ended`] after the end; [`StoreError::TooMuch`] above [`MAX_RUNNER_BYTES`];
    /// [`StoreError::Conflict`] when an id is repeated with another content.
    pub async fn append(
        &self,
        execution: &ExecutionId,
        entries: Vec<NewEntry>,
        events: Vec<NewEvent>,
    ) -> Result<Vec<u64>, StoreError> {
        let (id, redactor) = (execution.clone(), self.redactor());
        let mut entries = entries;
        for entry in &mut entries {
            entry.body = events::clean(&redactor, &entry.body);
        }
        let events = events::cleaned(&redactor, events);
        self.write_for(execution, move |connection| append(connection, id.as_str(), &entries, &events)).await
    }

    /// Answers of a model in the journal of an execution.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn turns_taken(&self, execution: &ExecutionId) -> Result<usize, StoreError> {
        let (id, kind) = (execution.clone(), EntryKind::TurnEnd.name());
        let query = "SELECT COUNT(*) FROM journal WHERE execution = ?1 AND kind = ?2";
        let count = self.read(move |connection| {
            Ok(connection.query_row(query, params![id.as_str(), kind], |row| row.get::<_, i64>(0))?)
        });
        Ok(usize::try_from(count.await?).unwrap_or_default())
    }

    /// The journal of an execution after `after`, in order, one page of at most 64 entries.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a row that this program cannot have written.
    pub async fn journal_after(&self, execution: &ExecutionId, after: u64) -> Result<Vec<StoredEntry>, StoreError> {
        let id = execution.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, id, kind, turn, call, body, blobs FROM journal
                 WHERE execution = ?1 AND seq > ?2 ORDER BY seq LIMIT 64",
            )?;
            let mut rows = statement.query(params![id.as_str(), after.cast_signed()])?;
            let mut entries = Vec::new();
            while let Some(row) = rows.next()? {
                entries.push(StoredEntry {
                    seq: row.get::<_, i64>(0)?.cast_unsigned(),
                    entry: NewEntry {
                        id: row.get(1)?,
                        kind: EntryKind::from_name(&row.get::<_, String>(2)?)?,
                        turn: row.get(3)?,
                        call: row.get(4)?,
                        body: row.get::<_, Vec<u8>>(5)?.into(),
                        blobs: read_blobs(&row.get::<_, Vec<u8>>(6)?)?,
                    },
                });
            }
            Ok(entries)
        })
        .await
    }
}

fn read_blobs(bytes: &[u8]) -> Result<Vec<BlobRef>, StoreError> {
    let (rows, rest) = bytes.as_chunks::<40>();
    if !rest.is_empty() {
        return Err(StoreError::Corrupt("list of blobs".to_owned()));
    }
    let split = |row: &[u8; 40]| {
        let (sha256, size) = row.split_first_chunk::<32>()?;
        Some(BlobRef { sha256: *sha256, size: u64::from_be_bytes(size.try_into().ok()?) })
    };
    rows.iter().map(|row| split(row).ok_or_else(|| StoreError::Corrupt("list of blobs".to_owned()))).collect()
}
