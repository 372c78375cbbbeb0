//! The record of an execution: files, denials, usage.

use rusqlite::{Connection, OptionalExtension, params};
use stigmer_policy::{Denial, Wall};

use super::{NewEvent, Store, StoreError, events};
use crate::audit::{AuditRow, Head};
use crate::id::{ExecutionId, now_ms};

/// Who saw a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observer {
    /// The daemon.
    Daemon,
    /// The door out.
    Egress,
    /// The jail's init.
    Init,
    /// The untrusted half reported it.
    Runner,
}

impl Observer {
    /// The name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Observer::Daemon => "daemon",
            Observer::Egress => "egress",
            Observer::Init => "init",
            Observer::Runner => "runner",
        }
    }
}

/// Denials of one kind in one execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenialRow {
    /// Name of the rule.
    pub rule: String,
    /// What was asked for.
    pub subject: String,
    /// Why it was refused.
    pub reason: String,
    /// Smallest change of policy that would allow it; empty: none.
    pub grant: String,
    /// Who saw it.
    pub observer: String,
    /// Which wall; empty: none of them.
    pub wall: String,
    /// How often.
    pub count: u64,
}

/// One file that is different from how it was at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Relative to the workspace.
    pub path: String,
    /// `created`, `changed`, `removed`.
    pub change: &'static str,
    /// Bytes; 0 when removed.
    pub size: u64,
    /// Lower-case hex; empty for what is no regular file, was removed or was too large to read.
    pub sha256: String,
    /// `file-tool`, `plugin`, `shell`.
    pub wall: String,
}

/// What the models of one execution used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Model turns.
    pub turns: u64,
    /// Prompt tokens outside any cache.
    pub input: u64,
    /// Written tokens.
    pub output: u64,
    /// Prompt tokens read from a cache.
    pub cache_read: u64,
    /// Prompt tokens written to a cache.
    pub cache_write: u64,
}

/// Most different denials that one execution may leave; further ones are counted in one row of their rule.
const MAX_DENIALS: i64 = 1_000;
/// Longest subject or reason that is kept, in bytes.
const MAX_TEXT: usize = 4 << 10;
/// Stands for the subjects above [`MAX_DENIALS`].
const OTHERS: &str = "(others)";

pub(super) fn audit_head(connection: &Connection) -> Result<Head, StoreError> {
    let query = "SELECT seq, hash FROM audit_head WHERE id = 1";
    Ok(connection
        .query_row(query, [], |row| Ok(Head { seq: row.get::<_, i64>(0)?.cast_unsigned(), hash: row.get(1)? }))?)
}

fn set_audit_head(connection: &Connection, head: &Head) -> Result<(), StoreError> {
    let query = "UPDATE audit_head SET seq = ?1, hash = ?2 WHERE id = 1";
    connection.execute(query, params![head.seq.cast_signed(), head.hash])?;
    Ok(())
}

fn clip(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MAX_TEXT)])
}

impl Store {
    /// Records a denial: one event each time, one row per (rule, subject, observer) with a count, and one audit row for
    /// the first of them. Repeats reach the audit log as a count when the execution ends.
    ///
    /// # Errors
    /// [`StoreError::Audit`] when the audit log cannot be written; then nothing is stored.
    pub async fn deny(
        &self,
        execution: &ExecutionId,
        denial: &Denial,
        observer: Observer,
        wall: Option<Wall>,
        call: &str,
    ) -> Result<(), StoreError> {
        let id = execution.clone();
        let redactor = self.redactor();
        let clip = |text: &str| clip(&redactor.text(text));
        let (rule, mut subject, reason) = (denial.rule.name(), clip(&denial.subject), clip(&denial.reason));
        let grant = clip(denial.grant.as_deref().unwrap_or_default());
        let wall = wall.map_or("", Wall::name);
        let audit = self.audit.clone();
        let body = serde_json::json!({ "rule": rule, "subject": subject, "reason": reason, "grant": grant,
                                       "observer": observer.name(), "wall": wall });
        let event = NewEvent::new("denial", &body).about(call);
        self.write_for(execution, move |connection| {
            events::insert(connection, id.as_str(), &[event])?;
            let kinds = "SELECT COUNT(*) FROM denials WHERE execution = ?1";
            if connection.query_row(kinds, [id.as_str()], |row| row.get::<_, i64>(0))? >= MAX_DENIALS {
                OTHERS.clone_into(&mut subject);
            }
            let count: i64 = connection.query_row(
                "INSERT INTO denials VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, 1)
                 ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count",
                params![id.as_str(), rule, subject, reason, grant, observer.name(), wall],
                |row| row.get(0),
            )?;
            if count == 1 {
                let mut audit = audit.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let head = audit.append(AuditRow {
                    time_ms: now_ms(),
                    execution: id.to_string(),
                    rule: rule.to_owned(),
                    subject,
                    reason,
                    observer: observer.name().to_owned(),
                    wall: wall.to_owned(),
                    count: 1,
                })?;
                set_audit_head(connection, &head)?;
            }
            Ok(())
        })
        .await
    }

    /// Writes the counts of repeated denials to the audit log. Called when an execution ends; again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Audit`].
    pub async fn report_denials(&self, execution: &ExecutionId) -> Result<(), StoreError> {
        let (id, audit) = (execution.clone(), self.audit.clone());
        self.write_for(execution, move |connection| {
            let mut statement = connection.prepare(
                "UPDATE denials SET reported = count WHERE execution = ?1 AND reported < count
                 RETURNING rule, subject, reason, observer, wall, count",
            )?;
            let rows = statement.query_map([id.as_str()], |row| {
                Ok(AuditRow {
                    time_ms: now_ms(),
                    execution: id.to_string(),
                    rule: row.get(0)?,
                    subject: row.get(1)?,
                    reason: row.get(2)?,
                    observer: row.get(3)?,
                    wall: row.get(4)?,
                    count: row.get::<_, i64>(5)?.cast_unsigned(),
                })
            })?;
            let rows: Vec<AuditRow> = rows.collect::<Result<_, _>>()?;
            let mut audit = audit.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for row in rows {
                let head = audit.append(row)?;
                set_audit_head(connection, &head)?;
            }
            Ok(())
        })
        .await
    }

    /// The denials of an execution.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn denials(&self, execution: &ExecutionId) -> Result<Vec<DenialRow>, StoreError> {
        let id = execution.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT rule, subject, reason, allow, observer, wall, count FROM denials WHERE execution = ?1",
            )?;
            let rows = statement.query_map([id.as_str()], |row| {
                Ok(DenialRow {
                    rule: row.get(0)?,
                    subject: row.get(1)?,
                    reason: row.get(2)?,
                    grant: row.get(3)?,
                    observer: row.get(4)?,
                    wall: row.get(5)?,
                    count: row.get::<_, i64>(6)?.cast_unsigned(),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The audit log's head as the database anchors it.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn audit_head(&self) -> Result<Head, StoreError> {
        self.read(audit_head).await
    }

    /// Keeps the workspace's state at the start. A later start of the same execution does not replace it.
    ///
    /// # Errors
    /// [`StoreError::NoExecution`].
    pub async fn set_baseline(&self, execution: &ExecutionId, baseline: Vec<u8>) -> Result<(), StoreError> {
        let id = execution.clone();
        self.write_for(execution, move |connection| {
            let query = "UPDATE executions SET baseline = ?2 WHERE id = ?1 AND baseline IS NULL";
            connection.execute(query, params![id.as_str(), baseline])?;
            Ok(())
        })
        .await
    }

    /// The workspace's state at the start; `None` before the first start.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn baseline(&self, execution: &ExecutionId) -> Result<Option<Vec<u8>>, StoreError> {
        let id = execution.clone();
        self.read(move |connection| {
            let query = "SELECT baseline FROM executions WHERE id = ?1";
            Ok(connection.query_row(query, [id.as_str()], |row| row.get(0)).optional()?.flatten())
        })
        .await
    }

    /// Replaces the file record of an execution.
    ///
    /// # Errors
    /// [`StoreError::NoExecution`].
    pub async fn set_files(
        &self,
        execution: &ExecutionId,
        files: Vec<FileRow>,
        partial: bool,
    ) -> Result<(), StoreError> {
        let id = execution.clone();
        self.write_for(execution, move |connection| {
            connection.execute("DELETE FROM files WHERE execution = ?1", [id.as_str()])?;
            let mut statement = connection.prepare_cached("INSERT INTO files VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            for file in &files {
                let size = file.size.cast_signed();
                statement.execute(params![id.as_str(), file.path, file.change, size, file.sha256, file.wall])?;
            }
            let query = "UPDATE executions SET files_partial = ?2 WHERE id = ?1";
            connection.execute(query, params![id.as_str(), partial])?;
            Ok(())
        })
        .await
    }

    /// The file record, by path.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn files(&self, execution: &ExecutionId) -> Result<Vec<FileRow>, StoreError> {
        let id = execution.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT path, change, size, sha256, wall FROM files WHERE execution = ?1 ORDER BY path",
            )?;
            let rows = statement.query_map([id.as_str()], |row| {
                Ok(FileRow {
                    path: row.get(0)?,
                    change: match row.get::<_, String>(1)?.as_str() {
                        "created" => "created",
                        "removed" => "removed",
                        _ => "changed",
                    },
                    size: row.get::<_, i64>(2)?.cast_unsigned(),
                    sha256: row.get(3)?,
                    wall: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Which wall a runner named for each path that it reported as changed, in order of the reports.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn reported_changes(&self, execution: &ExecutionId) -> Result<Vec<(String, String)>, StoreError> {
        let id = execution.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT body ->> 'path', body ->> 'wall' FROM (
                     SELECT CAST(body AS TEXT) AS body, seq FROM events WHERE execution = ?1 AND kind = 'file_changed'
                 ) WHERE json_valid(body) ORDER BY seq",
            )?;
            let rows = statement.query_map([id.as_str()], |row| {
                Ok((row.get::<_, Option<String>>(0)?.unwrap_or_default(), row.get::<_, Option<String>>(1)?))
            })?;
            let rows: Vec<(String, Option<String>)> = rows.collect::<Result<_, _>>()?;
            Ok(rows.into_iter().filter_map(|(path, wall)| Some((path, wall?))).collect())
        })
        .await
    }

    /// Writes down what an execution used up to now.
    ///
    /// # Errors
    /// [`StoreError::NoExecution`].
    pub async fn set_usage(&self, execution: &ExecutionId, used: Usage) -> Result<(), StoreError> {
        let id = execution.clone();
        self.write_for(execution, move |connection| {
            let query = "INSERT OR REPLACE INTO usage VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let [turns, input, output] = [used.turns, used.input, used.output].map(u64::cast_signed);
            let [read, write] = [used.cache_read, used.cache_write].map(u64::cast_signed);
            connection.execute(query, params![id.as_str(), turns, input, output, read, write])?;
            Ok(())
        })
        .await
    }

    /// What an execution used so far.
    ///
    /// # Errors
    /// [`StoreError::Statement`].
    pub async fn usage(&self, execution: &ExecutionId) -> Result<Usage, StoreError> {
        let id = execution.clone();
        self.read(move |connection| usage(connection, id.as_str())).await
    }
}

fn usage(connection: &Connection, execution: &str) -> Result<Usage, StoreError> {
    let query = "SELECT turns, input, output, cache_read, cache_write FROM usage WHERE execution = ?1";
    let found = connection.query_row(query, [execution], |row| {
        let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        Ok(Usage {
            turns: number(0)?,
            input: number(1)?,
            output: number(2)?,
            cache_read: number(3)?,
            cache_write: number(4)?,
        })
    });
    Ok(found.optional()?.unwrap_or_default())
}
