//! Questions to a person, and their answers.

use rusqlite::{OptionalExtension, Row, params};

use super::{NewEvent, Store, StoreError, events};
use crate::id::{ExecutionId, now_ms};

/// A question before it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApproval {
    /// The call that waits.
    pub call: String,
    /// Number under which init will be asked to start it.
    pub number: u64,
    /// The tool.
    pub tool: String,
    /// What would be done, in one line.
    pub summary: String,
    /// Digest of what was asked for, exactly; only the very same is released.
    pub command: Vec<u8>,
}

/// Where a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalState {
    /// Nobody answered yet.
    Waiting,
    /// It may start.
    Approved,
    /// It may not.
    Denied,
}

impl ApprovalState {
    /// The name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ApprovalState::Waiting => "waiting",
            ApprovalState::Approved => "approved",
            ApprovalState::Denied => "denied",
        }
    }
}

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The question.
    pub question: NewApproval,
    /// Its answer.
    pub state: ApprovalState,
    /// Unix milliseconds.
    pub asked_ms: i64,
    /// Init was told of it, or was about to be: it may have begun.
    pub released: bool,
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<Approval> {
    let state: String = row.get(5)?;
    Ok(Approval {
        question: NewApproval {
            call: row.get(0)?,
            number: row.get::<_, i64>(1)?.cast_unsigned(),
            tool: row.get(2)?,
            summary: row.get(3)?,
            command: row.get(4)?,
        },
        // Closed: what is not plainly approved is not released.
        state: match state.as_str() {
            "approved" => ApprovalState::Approved,
            "waiting" => ApprovalState::Waiting,
            _ => ApprovalState::Denied,
        },
        asked_ms: row.get(6)?,
        released: row.get(7)?,
    })
}

const QUERY: &str =
    "SELECT call, number, tool, summary, command, state, asked_ms, released FROM approvals WHERE execution = ?1";

impl Store {
    /// Stores a question with its `approval_asked` event, or gives the state of the same question asked before.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the call asked before for something else.
    pub async fn ask(&self, execution: &ExecutionId, new: NewApproval) -> Result<ApprovalState, StoreError> {
        let id = execution.clone();
        let summary = self.redactor().text(&new.summary).into_owned();
        let new = NewApproval { summary, ..new };
        self.write_for(execution, move |connection| {
            let before = connection
                .prepare_cached(&format!("{QUERY} AND call = ?2"))?
                .query_row(params![id.as_str(), new.call], read_row)
                .optional()?;
            if let Some(before) = before {
                if before.question.command != new.command {
                    return Err(StoreError::Conflict(new.call));
                }
                // The number is the present runner's; the answer belongs to the call.
                connection.execute(
                    "UPDATE approvals SET number = ?3 WHERE execution = ?1 AND call = ?2",
                    params![id.as_str(), new.call, new.number.cast_signed()],
                )?;
                return Ok(before.state);
            }
            connection.execute(
                "INSERT INTO approvals (execution, call, number, tool, summary, command, state, asked_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'waiting', ?7)",
                params![id.as_str(), new.call, new.number.cast_signed(), new.tool, new.summary, new.command, now_ms()],
            )?;
            let body = serde_json::json!({ "tool": new.tool, "summary": new.summary });
            events::insert(connection, id.as_str(), &[NewEvent::new("approval_asked", &body).about(&new.call)])?;
            Ok(ApprovalState::Waiting)
        })
        .await
    }

    /// Stores an answer with its `approval_answered` event. Gives the question, or `None` when the call does not wait:
    /// one answer for one question, the first one counts.
    ///
    /// # Errors
    /// [`StoreError::NoExecution`].
    pub async fn answer(
        &self,
        execution: &ExecutionId,
        call: &str,
        approve: bool,
    ) -> Result<Option<Approval>, StoreError> {
        let (id, call) = (execution.clone(), call.to_owned());
        self.write_for(execution, move |connection| {
            let state = if approve { ApprovalState::Approved } else { ApprovalState::Denied };
            let changed = connection.execute(
                "UPDATE approvals SET state = ?3, answered_ms = ?4
                 WHERE execution = ?1 AND call = ?2 AND state = 'waiting'",
                params![id.as_str(), call, state.name(), now_ms()],
            )?;
            if changed == 0 {
                return Ok(None);
            }
            let body = serde_json::json!({ "approved": approve });
            events::insert(connection, id.as_str(), &[NewEvent::new("approval_answered", &body).about(&call)])?;
            let query = format!("{QUERY} AND call = ?2");
            Ok(Some(connection.query_row(&query, params![id.as_str(), call], read_row)?))
        })
        .await
    }

    /// Writes down that init is about to be told of a call. Whether that is the first time: one answer is good for one
    /// start, so it is told once.
    ///
    /// # Errors
    /// [`StoreError::NoExecution`].
    pub async fn note_release(&self, execution: &ExecutionId, call: &str) -> Result<bool, StoreError> {
        let (id, call) = (execution.clone(), call.to_owned());
        self.write_for(execution, move |connection| {
            let query = "UPDATE approvals SET released = 1 WHERE execution = ?1 AND call = ?2 AND released = 0";
            Ok(connection.execute(query, params![id.as_str(), call])? == 1)
        })
        .await
    }

    /// Every question of an execution, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn approvals(&self, execution: &ExecutionId) -> Result<Vec<Approval>, StoreError> {
        let id = execution.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!("{QUERY} ORDER BY asked_ms, call"))?;
            let rows = statement.query_map([id.as_str()], read_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}
