-- Sessions, found by the SHA-256 of their secret in one read of one table. A session
-- that ends is deleted: there is no state in which a row could be revived.
-- replaced_secret_hash is the hash of the session that a sign-in took the place of, so
-- that the same sign-in sent again, because its answer was lost, keeps the guest's state.
CREATE TABLE sessions (
    secret_hash          BLOB    NOT NULL PRIMARY KEY CHECK (length(secret_hash) = 32),
    id                   TEXT    NOT NULL,
    subject              TEXT    NOT NULL,
    kind                 TEXT    NOT NULL CHECK (kind IN ('guest', 'user')),
    created_at           INTEGER NOT NULL,
    authenticated_at     INTEGER,
    last_seen_at         INTEGER NOT NULL,
    expires_at           INTEGER NOT NULL,
    absolute_expires_at  INTEGER NOT NULL,
    amr                  TEXT    NOT NULL,
    user_agent           TEXT    NOT NULL,
    address              TEXT    NOT NULL,
    prior_subject        TEXT,
    replaced_secret_hash BLOB,
    CHECK (expires_at <= absolute_expires_at)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX sessions_id_key ON sessions (id);
-- UUIDv7 identifiers sort by age, so this also answers "newest first".
CREATE INDEX sessions_subject_idx ON sessions (subject, id);
-- For the cleanup of what is over.
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);
CREATE INDEX sessions_replaced_secret_hash_idx ON sessions (replaced_secret_hash)
    WHERE replaced_secret_hash IS NOT NULL;
