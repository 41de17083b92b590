-- Which guest's state went to which user, so that it goes there once: a second
-- request, another replica or another user finds the guest taken, and a late write
-- by the guest's own token is refused instead of being lost.
--
-- Rows stay: a session keeps naming its guest for as long as it lives.

CREATE TABLE merged_guests (
    guest_sub TEXT    NOT NULL PRIMARY KEY,
    user_sub  TEXT    NOT NULL,
    -- Milliseconds since the Unix epoch.
    merged_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
