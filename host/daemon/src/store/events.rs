//! Events: deltas with a sequence number, appended and never changed.

use std::borrow::Cow;

use bytes::Bytes;
use rusqlite::{Connection, params};
use stigmer_secrets::Redactor;

use super::{Store, StoreError};
use crate::id::{ExecutionId, now_ms};

/// Longest body of one event, in bytes. Longer output is sent as several events.
pub const MAX_EVENT_BODY: usize = 64 << 10;

/// Events of one page of a replay.
const PAGE: usize = 256;

/// An event before it has its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// `text_delta`, `tool_begin`, …; readers skip what they do not know.
    pub kind: String,
    /// Turn; 0: none.
    pub turn: u32,
    /// Call; empty: none.
    pub call: String,
    /// JSON object, at most [`MAX_EVENT_BODY`] bytes.
    pub body: Bytes,
}

impl NewEvent {
    /// An event of the daemon itself. `body` must be short: it is written by us.
    #[must_use]
    pub fn new(kind: &str, body: &serde_json::Value) -> Self {
        NewEvent { kind: kind.to_owned(), turn: 0, call: String::new(), body: Bytes::from(body.to_string()) }
    }

    /// The same, about one call.
    #[must_use]
    pub fn about(mut self, call: &str) -> Self {
        self.call = call.to_owned();
        self
    }
}

/// An event with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// From 1, without gaps, per execution.
    pub seq: u64,
    /// Unix milliseconds.
    pub time_ms: i64,
    /// The event.
    pub event: NewEvent,
}

/// The events without secrets. What stands for one is safe inside JSON, and may be longer than a short key: a body that it
/// makes too long is refused like any other.
pub(super) fn cleaned(redactor: &Redactor, mut events: Vec<NewEvent>) -> Vec<NewEvent> {
    for event in &mut events {
        event.body = clean(redactor, &event.body);
    }
    events
}

pub(super) fn clean(redactor: &Redactor, body: &Bytes) -> Bytes {
    match redactor.bytes(body) {
        Cow::Borrowed(_) => body.clone(),
        Cow::Owned(cleaned) => cleaned.into(),
    }
}

/// Appends and gives the number of the last one, or of the last before when `events` is empty.
pub(super) fn insert(connection: &Connection, execution: &str, events: &[NewEvent]) -> Result<u64, StoreError> {
    let mut seq: i64 =
        connection.query_row("SELECT last_seq FROM executions WHERE id = ?1", [execution], |row| row.get(0))?;
    let mut statement = connection.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for event in events {
        if event.body.len() > MAX_EVENT_BODY {
            let (bytes, limit) = (event.body.len() as u64, MAX_EVENT_BODY as u64);
            return Err(StoreError::TooMuch { what: "an event", bytes, limit });
        }
        seq += 1;
        statement.execute(params![execution, seq, now_ms(), event.kind, event.turn, event.call, &event.body[..]])?;
    }
    connection.execute("UPDATE executions SET last_seq = ?2 WHERE id = ?1", params![execution, seq])?;
    Ok(seq.cast_unsigned())
}

impl Store {
    /// Appends events of the daemon. Gives the number of the last one.
    ///
    /// # Errors
    /// [`StoreError::NoExecution`]; [`StoreError::TooMuch`] for a body that is too long.
    pub async fn append_events(&self, execution: &ExecutionId, events: Vec<NewEvent>) -> Result<u64, StoreError> {
        let id = execution.clone();
        let events = cleaned(&self.redactor(), events);
        self.write_for(execution, move |connection| insert(connection, id.as_str(), &events)).await
    }

    /// Events after `after`, in order, one page of them; empty when there are none yet.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn events_after(&self, execution: &ExecutionId, after: u64) -> Result<Vec<StoredEvent>, StoreError> {
        let id = execution.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, time_ms, kind, turn, call, body FROM events
                 WHERE execution = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
            )?;
            let rows =
                statement.query_map(params![id.as_str(), after.cast_signed(), PAGE.cast_signed() as i64], |row| {
                    let body: Vec<u8> = row.get(5)?;
                    Ok(StoredEvent {
                        seq: row.get::<_, i64>(0)?.cast_unsigned(),
                        time_ms: row.get(1)?,
                        event: NewEvent { kind: row.get(2)?, turn: row.get(3)?, call: row.get(4)?, body: body.into() },
                    })
                })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Runs a write about one execution, refuses when there is none, and announces its last event after the commit.
    pub(super) async fn write_for<T: Send + 'static>(
        &self,
        execution: &ExecutionId,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (publisher, id) = (self.publisher.clone(), execution.clone());
        let id_in = execution.clone();
        let result = self
            .writer
            .write(
                move |connection| {
                    let found = "SELECT EXISTS (SELECT 1 FROM executions WHERE id = ?1)";
                    if !connection.prepare_cached(found)?.query_row([id_in.as_str()], |row| row.get(0))? {
                        return Err(StoreError::NoExecution(id_in.to_string()));
                    }
                    let value = work(connection)?;
                    let last = "SELECT last_seq FROM executions WHERE id = ?1";
                    let seq: i64 = connection.prepare_cached(last)?.query_row([id_in.as_str()], |row| row.get(0))?;
                    Ok((value, seq.cast_unsigned()))
                },
                move |(_, seq)| publisher.committed(&id, *seq),
            )
            .await;
        result.map(|(value, _)| value)
    }
}
