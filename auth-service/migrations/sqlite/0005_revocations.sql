-- The revocation log: what verifiers must stop believing, in one total order. There is
-- one writer, so no reader can see a number before a smaller one, and AUTOINCREMENT
-- gives no number twice even after the newest entries were dropped.
-- log_id names the log, so that a follower of another database's log notices.
-- latest_time_s is the latest time that a program on this database has noted, in seconds
-- since 1970: had a clock been ahead and been set back since, there are tokens from then,
-- and an entry must outlive them too.
CREATE TABLE revocation_log (
    only_row      INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    log_id        TEXT    NOT NULL,
    latest_time_s INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO revocation_log (only_row, log_id) VALUES (1, lower(hex(randomblob(16))));

CREATE TABLE revocations (
    seq             INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind            TEXT    NOT NULL,
    session_id      BLOB,
    subject         TEXT,
    kid             TEXT,
    issued_before_s INTEGER,
    revoked_at_us   INTEGER NOT NULL,
    expires_at_s    INTEGER NOT NULL,
    CHECK (CASE kind
        WHEN 'session' THEN session_id IS NOT NULL AND length(session_id) = 16
            AND subject IS NULL AND kid IS NULL AND issued_before_s IS NULL
        WHEN 'subject' THEN subject IS NOT NULL AND issued_before_s IS NOT NULL
            AND session_id IS NULL AND kid IS NULL
        WHEN 'key' THEN kid IS NOT NULL
            AND session_id IS NULL AND subject IS NULL AND issued_before_s IS NULL
        ELSE 0
    END)
) STRICT;

-- For dropping what concerns no living token.
CREATE INDEX revocations_expires_at_idx ON revocations (expires_at_s);
