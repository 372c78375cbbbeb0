//! Rows of executions: where each one stands.

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::{NewEvent, Store, StoreError, events};
use crate::id::{ExecutionId, now_ms};
use crate::supervisor::Outcome;

/// Everything that is stored when an execution is made.
#[derive(Debug, Clone)]
pub struct NewExecution {
    /// Its name.
    pub id: ExecutionId,
    /// Canonical path.
    pub workspace: String,
    /// Provider and model as asked.
    pub provider: String,
    /// Model as asked.
    pub model: String,
    /// `wasi` or `filesystem`.
    pub sandbox: String,
    /// `full`, `base`, `filesystem`.
    pub level: String,
    /// First words of the message.
    pub title: String,
    /// The execution whose conversation goes on; empty: none.
    pub parent: String,
    /// All that a later start needs, in the daemon's own form. Never a key.
    pub request: Vec<u8>,
}

/// One execution as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionRow {
    /// Its name.
    pub id: ExecutionId,
    /// Where it stands; a name of the supervisor's state.
    pub state: String,
    /// How it ended; `None` until then.
    pub outcome: Option<Outcome>,
    /// Why it failed or what it waits for.
    pub reason: String,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds; 0 until it ended.
    pub ended_ms: i64,
    /// Canonical path.
    pub workspace: String,
    /// Provider.
    pub provider: String,
    /// Model.
    pub model: String,
    /// Sandbox.
    pub sandbox: String,
    /// Level.
    pub level: String,
    /// First words of the message.
    pub title: String,
    /// The execution whose conversation goes on; empty: none.
    pub parent: String,
    /// What [`NewExecution::request`] was.
    pub request: Vec<u8>,
    /// Runners that were started for it.
    pub attempt: u32,
    /// Number of its last event.
    pub last_seq: u64,
    /// Last text of the model.
    pub text: String,
    /// The file record is not whole.
    pub files_partial: bool,
}

const COLUMNS: &str = "id, state, outcome, reason, created_ms, ended_ms, workspace, provider, model, sandbox, level, \
                       title, parent, request, attempt, last_seq, text, files_partial";

fn read_row(row: &Row<'_>) -> Result<ExecutionRow, StoreError> {
    let (id, outcome): (String, String) = (row.get(0)?, row.get(2)?);
    let corrupt = |what: &str| StoreError::Corrupt(format!("execution `{id}`: {what}"));
    Ok(ExecutionRow {
        id: ExecutionId::parse(&id).map_err(|_| corrupt("name"))?,
        state: row.get(1)?,
        outcome: if outcome.is_empty() {
            None
        } else {
            Some(Outcome::from_name(&outcome).ok_or_else(|| corrupt("outcome"))?)
        },
        reason: row.get(3)?,
        created_ms: row.get(4)?,
        ended_ms: row.get(5)?,
        workspace: row.get(6)?,
        provider: row.get(7)?,
        model: row.get(8)?,
        sandbox: row.get(9)?,
        level: row.get(10)?,
        title: row.get(11)?,
        parent: row.get(12)?,
        request: row.get(13)?,
        attempt: row.get(14)?,
        last_seq: row.get::<_, i64>(15)?.cast_unsigned(),
        text: row.get(16)?,
        files_partial: row.get(17)?,
    })
}

fn query(connection: &Connection, rest: &str, values: impl Params) -> Result<Vec<ExecutionRow>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM executions {rest} LIMIT ?1"))?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read_row(row)?);
    }
    Ok(found)
}

impl Store {
    /// Stores an execution together with its first event.
    ///
    /// # Errors
    /// [`StoreError::Statement`] when the name is taken; [`StoreError::NoExecution`] when the one that it goes on from is
    /// gone.
    pub async fn create(&self, new: NewExecution, created: NewEvent) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            // It was there a moment ago, and could have been removed since.
            let there = "SELECT ?1 = '' OR EXISTS (SELECT 1 FROM executions WHERE id = ?1)";
            if !connection.query_row(there, [&new.parent], |row| row.get(0))? {
                return Err(StoreError::NoExecution(new.parent));
            }
            connection.execute(
                "INSERT INTO executions (id, state, created_ms, workspace, provider, model, sandbox, level, title,
                                         parent, request)
                 VALUES (?1, 'queued', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    new.id.as_str(),
                    now_ms(),
                    new.workspace,
                    new.provider,
                    new.model,
                    new.sandbox,
                    new.level,
                    new.title,
                    new.parent,
                    new.request
                ],
            )?;
            events::insert(connection, new.id.as_str(), &[created])?;
            Ok(())
        };
        self.writer.write(work, |()| {}).await
    }

    /// One execution.
    ///
    /// # Errors
    /// [`StoreError::NoExecution`].
    pub async fn execution(&self, execution: &ExecutionId) -> Result<ExecutionRow, StoreError> {
        let id = execution.clone();
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM executions WHERE id = ?1"))?;
            let row = statement.query_row([id.as_str()], |row| Ok(read_row(row))).optional()?;
            row.unwrap_or_else(|| Err(StoreError::NoExecution(id.to_string())))
        })
        .await
    }

    /// The newest executions, newest first; only those of `workspace` unless it is empty.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn executions(&self, limit: u32, workspace: &str) -> Result<Vec<ExecutionRow>, StoreError> {
        let workspace = workspace.to_owned();
        self.read(move |connection| {
            let rest = "WHERE ?2 = '' OR workspace = ?2 ORDER BY created_ms DESC, id DESC";
            query(connection, rest, params![limit, workspace])
        })
        .await
    }

    /// The execution of this name and those that it continues, oldest first; none for an empty name.
    ///
    /// # Errors
    /// [`StoreError::NoExecution`], also for a name that is none.
    pub async fn lineage(&self, execution: &str) -> Result<Vec<ExecutionRow>, StoreError> {
        let mut rows = Vec::new();
        let mut next = execution.to_owned();
        // Each was stored after the one that it continues: this comes to an end.
        while !next.is_empty() {
            let id = ExecutionId::parse(&next).map_err(|_| StoreError::NoExecution(next))?;
            let row = self.execution(&id).await?;
            next = row.parent.clone();
            rows.push(row);
        }
        rows.reverse();
        Ok(rows)
    }

    /// Every execution that has not ended, oldest first: what a new daemon goes on with.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn unfinished(&self) -> Result<Vec<ExecutionRow>, StoreError> {
        self.read(|connection| query(connection, "WHERE state <> 'ended' ORDER BY created_ms, id", [i64::MAX])).await
    }

    /// Writes down where an execution stands, with the events that say so, in one commit.
    ///
    /// # Errors
    /// [`StoreError::Ended`] when it has ended.
    pub async fn set_state(
        &self,
        execution: &ExecutionId,
        state: &'static str,
        reason: String,
        attempt: u32,
        events: Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        let (id, redactor) = (execution.clone(), self.redactor());
        let reason = redactor.text(&reason).into_owned();
        let events = events::cleaned(&redactor, events);
        self.write_for(execution, move |connection| {
            let changed = connection.execute(
                "UPDATE executions SET state = ?2, reason = ?3, attempt = ?4 WHERE id = ?1 AND state <> 'ended'",
                params![id.as_str(), state, reason, attempt],
            )?;
            if changed == 0 {
                return Err(StoreError::Ended(id.to_string()));
            }
            events::insert(connection, id.as_str(), &events)?;
            Ok(())
        })
        .await
    }

    /// Ends an execution: outcome, last text and the `ended` event in one commit. Nothing of a runner is taken after.
    ///
    /// # Errors
    /// [`StoreError::Ended`] when it has ended already.
    pub async fn end(
        &self,
        execution: &ExecutionId,
        outcome: Outcome,
        reason: String,
        text: String,
    ) -> Result<(), StoreError> {
        let (id, redactor) = (execution.clone(), self.redactor());
        let (reason, text) = (redactor.text(&reason).into_owned(), redactor.text(&text).into_owned());
        self.write_for(execution, move |connection| {
            let changed = connection.execute(
                "UPDATE executions SET state = 'ended', outcome = ?2, reason = ?3, text = ?4, ended_ms = ?5,
                        baseline = NULL WHERE id = ?1 AND state <> 'ended'",
                params![id.as_str(), outcome.name(), reason, text, now_ms()],
            )?;
            if changed == 0 {
                return Err(StoreError::Ended(id.to_string()));
            }
            let body = serde_json::json!({ "outcome": outcome.name(), "reason": reason });
            events::insert(connection, id.as_str(), &[NewEvent::new("ended", &body)])?;
            Ok(())
        })
        .await
    }
}
