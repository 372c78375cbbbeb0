-- Schema 1. Times are Unix milliseconds; digests are 32 bytes; JSON is stored as it came.
CREATE TABLE executions (
    id            TEXT PRIMARY KEY,
    state         TEXT NOT NULL,
    outcome       TEXT NOT NULL DEFAULT '',
    reason        TEXT NOT NULL DEFAULT '',
    created_ms    INTEGER NOT NULL,
    ended_ms      INTEGER NOT NULL DEFAULT 0,
    workspace     TEXT NOT NULL,
    provider      TEXT NOT NULL,
    model         TEXT NOT NULL,
    sandbox       TEXT NOT NULL,
    level         TEXT NOT NULL,
    title         TEXT NOT NULL,
    parent        TEXT NOT NULL,
    request       BLOB NOT NULL,            -- all that a later start needs; never a key
    attempt       INTEGER NOT NULL DEFAULT 0,
    last_seq      INTEGER NOT NULL DEFAULT 0,
    runner_bytes  INTEGER NOT NULL DEFAULT 0,
    text          TEXT NOT NULL DEFAULT '',
    files_partial INTEGER NOT NULL DEFAULT 0,
    baseline      BLOB                      -- the workspace at the start; gone after the end
) STRICT;
CREATE INDEX executions_by_state ON executions (state) WHERE state <> 'ended';

CREATE TABLE events (
    execution TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    seq       INTEGER NOT NULL,
    time_ms   INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    turn      INTEGER NOT NULL,
    call      TEXT NOT NULL,
    body      BLOB NOT NULL,
    PRIMARY KEY (execution, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
    execution TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    seq       INTEGER NOT NULL,
    id        TEXT NOT NULL,
    kind      TEXT NOT NULL,
    turn      INTEGER NOT NULL,
    call      TEXT NOT NULL,
    body      BLOB NOT NULL,
    blobs     BLOB NOT NULL,                -- 40 bytes each: digest, size big-endian
    PRIMARY KEY (execution, seq),
    UNIQUE (execution, id)
) STRICT;

CREATE TABLE blobs (
    sha256 BLOB PRIMARY KEY,
    data   BLOB NOT NULL
) STRICT;
CREATE TABLE blob_owners (
    execution TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    sha256    BLOB NOT NULL REFERENCES blobs (sha256),
    PRIMARY KEY (execution, sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE files (
    execution TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    path      TEXT NOT NULL,
    change    TEXT NOT NULL,
    size      INTEGER NOT NULL,
    sha256    TEXT NOT NULL,
    wall      TEXT NOT NULL,
    PRIMARY KEY (execution, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE denials (
    execution TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    rule      TEXT NOT NULL,
    subject   TEXT NOT NULL,
    reason    TEXT NOT NULL,
    allow     TEXT NOT NULL,                -- smallest change of policy; empty: none
    observer  TEXT NOT NULL,
    wall      TEXT NOT NULL,
    count     INTEGER NOT NULL,
    reported  INTEGER NOT NULL,             -- how many of them stand in the audit log
    PRIMARY KEY (execution, rule, subject, observer)
) STRICT, WITHOUT ROWID;

CREATE TABLE approvals (
    execution  TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    call       TEXT NOT NULL,
    number     INTEGER NOT NULL,
    tool       TEXT NOT NULL,
    summary    TEXT NOT NULL,
    command    BLOB NOT NULL,               -- digest of what was asked for
    state      TEXT NOT NULL,
    asked_ms   INTEGER NOT NULL,
    answered_ms INTEGER NOT NULL DEFAULT 0,
    -- Init was told, or is about to be: from then on the call may have begun.
    released    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (execution, call)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
    execution    TEXT PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    turns        INTEGER NOT NULL,
    input        INTEGER NOT NULL,
    output       INTEGER NOT NULL,
    cache_read   INTEGER NOT NULL,
    cache_write  INTEGER NOT NULL
) STRICT;

CREATE TABLE audit_head (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    seq  INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO audit_head VALUES (1, 0, '');
