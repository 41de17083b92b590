-- What limits count, so that a restart forgives nothing. Keys are hashes of what they
-- limit: neither addresses of people nor of machines stand here.
CREATE TABLE limit_buckets (
    key     BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    -- A bucket that is full again is as good as absent and may be deleted.
    full_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX limit_buckets_full_at_idx ON limit_buckets (full_at);

-- Where an account was signed in to from: those sources are not locked out by strangers.
CREATE TABLE known_sources (
    account      BLOB    NOT NULL CHECK (length(account) = 32),
    source       BLOB    NOT NULL CHECK (length(source) = 32),
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (account, source)
) STRICT, WITHOUT ROWID;
