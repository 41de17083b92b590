//! What every watcher is told: each entry once it is committed, and a heartbeat each
//! second, provided that the log was read.

use std::time::Duration;

use super::{Batch, Cursor, Head, LogId, Revocation};

/// How often watchers hear that they have missed nothing.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// The end of the log as it grows. Time comes in as `now`, from a clock that never steps.
#[derive(Clone, Debug)]
pub struct Tail {
    log_id: LogId,
    cursor: Cursor,
    heartbeat_due: Duration,
}

impl Tail {
    /// From here on.
    pub fn new(head: Head) -> Self {
        Self {
            log_id: head.log_id,
            cursor: Cursor::after(head.seq),
            heartbeat_due: Duration::ZERO,
        }
    }

    /// Whether this is the log that it follows, and no older state of it.
    pub fn is_of(&self, head: &Head) -> bool {
        head.log_id == self.log_id && head.seq >= self.cursor.seq()
    }

    /// After which entry to read.
    pub fn seq(&self) -> u64 {
        self.cursor.seq()
    }

    /// Whether there is something to read before a heartbeat may be sent.
    pub fn is_behind(&self, head: &Head) -> bool {
        self.cursor.is_before(head)
    }

    /// What to tell of entries that were read after [`Tail::seq`], at most `limit`, when
    /// the log was known to go to `known_head`. None: nothing new.
    pub fn read(&mut self, known_head: u64, entries: Vec<Revocation>, limit: u32) -> Option<Batch> {
        let batch = self.cursor.advance(known_head, entries, limit);
        (batch.through_seq > batch.after_seq).then_some(batch)
    }

    /// The head to send in a heartbeat, if one is due: `head` was read just now and
    /// nothing before it is left to tell.
    pub fn heartbeat(&mut self, head: &Head, now: Duration) -> Option<u64> {
        if self.is_behind(head) || now < self.heartbeat_due {
            return None;
        }
        self.heartbeat_due = now + HEARTBEAT_INTERVAL;
        Some(self.cursor.seq())
    }
}
