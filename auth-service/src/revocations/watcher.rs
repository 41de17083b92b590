//! What one watcher needs: from where it was to the end of the log, and from there on
//! what everybody is told.
//!
//! Whoever runs a watcher subscribes to the tail first and reads the head afterwards, so
//! that the two meet; where they overlap or leave a gap, that shows here.

use std::time::Duration;

use super::{Batch, Cursor, Head, LogId, Revocation};

/// A heartbeat that waited longer than this for its watcher proves too little about the
/// present, and the next one comes soon.
pub const MAX_HEARTBEAT_AGE: Duration = Duration::from_secs(1);

/// Where a watcher wants to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The log that it followed before; empty: none.
    pub log_id: String,
    /// The last entry of it that it has applied; 0: none.
    pub after_seq: u64,
}

/// Where a watcher does begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The log.
    pub log_id: LogId,
    /// What was asked for, or 0: a snapshot follows.
    pub after_seq: u64,
    /// Where the log ended just now.
    pub head_seq: u64,
}

/// What to do with a message of the tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Send it as it is.
    Pass,
    /// Send this instead: part of it is known to the watcher.
    Cut(Batch),
    /// The watcher knows all of it.
    Known,
    /// Something before it is missing: read on ([`Watcher::must_read`]).
    Gap,
}

/// One watcher's place in the log, and how far it must read for itself.
#[derive(Clone, Debug)]
pub struct Watcher {
    cursor: Cursor,
    goal: u64,
}

impl Watcher {
    /// Begins where the watcher was, if the log is the same and goes that far: what was
    /// dropped since concerns no living token. Else with a snapshot.
    pub fn open(resume: &Resume, head: Head) -> (Self, Opening) {
        let can_resume = resume.log_id == head.log_id.as_str() && resume.after_seq <= head.seq;
        let after_seq = if can_resume { resume.after_seq } else { 0 };
        let watcher = Self {
            cursor: Cursor::after(after_seq),
            goal: head.seq,
        };
        let opening = Opening {
            log_id: head.log_id,
            after_seq,
            head_seq: head.seq,
        };
        (watcher, opening)
    }

    /// After which entry the log must be read before the tail is of use. None: it is.
    pub fn must_read(&self) -> Option<u64> {
        (self.cursor.seq() < self.goal).then_some(self.cursor.seq())
    }

    /// What to send of entries that were read as [`Watcher::must_read`] said, at most
    /// `limit`.
    pub fn read(&mut self, entries: Vec<Revocation>, limit: u32) -> Batch {
        self.cursor.advance(self.goal, entries, limit)
    }

    /// A batch of the tail.
    pub fn batch(&mut self, batch: &Batch) -> Told {
        let seq = self.cursor.seq();
        if batch.through_seq <= seq {
            return Told::Known;
        }
        if batch.after_seq > seq {
            self.goal = batch.through_seq;
            return Told::Gap;
        }
        self.cursor = Cursor::after(batch.through_seq);
        if batch.after_seq == seq {
            Told::Pass
        } else {
            Told::Cut(batch.after(seq))
        }
    }

    /// A heartbeat of the tail that has waited for `age`.
    pub fn heartbeat(&mut self, head_seq: u64, age: Duration) -> Told {
        if head_seq > self.cursor.seq() {
            self.goal = head_seq;
            Told::Gap
        } else if age > MAX_HEARTBEAT_AGE {
            Told::Known
        } else {
            Told::Pass
        }
    }
}

#[cfg(test)]
mod tests;
