-- Accounts of people. The normalised address decides who is who; the typed one is
-- what the person sees. disabled_at exists from the start so that signing in asks for it.
-- All times in this database are milliseconds since 1970 UTC.
CREATE TABLE accounts (
    subject          TEXT    NOT NULL PRIMARY KEY,
    email            TEXT    NOT NULL,
    email_normalised TEXT    NOT NULL,
    display_name     TEXT    NOT NULL,
    password_hash    TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    disabled_at      INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX accounts_email_normalised_key ON accounts (email_normalised);
