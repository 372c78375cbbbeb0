-- Schema 2. What removing an execution asks: who else has a blob, and who goes on from it.
CREATE INDEX blob_owners_by_sha256 ON blob_owners (sha256);
CREATE INDEX executions_by_parent ON executions (parent) WHERE parent <> '';
