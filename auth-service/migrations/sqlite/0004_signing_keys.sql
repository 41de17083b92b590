-- Signing keys. The private part rests encrypted (JWE); the key-encryption key is not
-- in this database. The partial index lets two programs that start together agree: the
-- second cannot insert another active key.
CREATE TABLE signing_keys (
    kid                   TEXT    NOT NULL PRIMARY KEY,
    algorithm             TEXT    NOT NULL,
    state                 TEXT    NOT NULL CHECK (state IN ('upcoming', 'active', 'retiring')),
    public_key            BLOB    NOT NULL,
    encrypted_private_key TEXT    NOT NULL,
    created_at            INTEGER NOT NULL,
    activated_at          INTEGER,
    retiring_at           INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX signing_keys_active_key ON signing_keys (state) WHERE state = 'active';
