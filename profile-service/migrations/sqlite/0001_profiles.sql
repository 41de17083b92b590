-- A profile per subject. Why every field may be NULL: NULL is "never set", which
-- reads as the default and lets a guest's value in at a merge; an empty string is
-- never stored.
--
-- The CHECKs are bounds only. What a theme, a locale or a currency is, profile.rs
-- says, and a release that learns a new one must not need a new table for it.

CREATE TABLE profiles (
    subject      TEXT    NOT NULL PRIMARY KEY,
    -- 80 characters are at most 320 bytes; length() counts characters.
    display_name TEXT    CHECK (length(display_name) BETWEEN 1 AND 80),
    theme        TEXT    CHECK (length(theme) BETWEEN 1 AND 16),
    locale       TEXT    CHECK (length(locale) BETWEEN 1 AND 35),
    currency     TEXT    CHECK (length(currency) = 3),
    -- Milliseconds since the Unix epoch; lets abandoned guests be found.
    updated_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
