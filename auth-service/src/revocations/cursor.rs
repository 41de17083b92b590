//! A place in the log, and the steps from one place to the next.

use super::{Head, Revocation};

/// All entries that still matter with `after_seq` < seq <= `through_seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where it follows on.
    pub after_seq: u64,
    /// The log is known through here.
    pub through_seq: u64,
    /// In the order of the log.
    pub entries: Vec<Revocation>,
}

impl Batch {
    /// What of it comes after `seq`.
    pub fn after(&self, seq: u64) -> Self {
        let known = self.entries.partition_point(|entry| entry.seq <= seq);
        Self {
            after_seq: seq,
            through_seq: self.through_seq,
            entries: self.entries[known..].to_vec(),
        }
    }
}

/// How far a reader of the log has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(u64);

impl Cursor {
    /// After this entry; 0: before all.
    pub fn after(seq: u64) -> Self {
        Self(seq)
    }

    /// The entry that it is after.
    pub fn seq(self) -> u64 {
        self.0
    }

    /// Whether the log goes on.
    pub fn is_before(self, head: &Head) -> bool {
        self.0 < head.seq
    }

    /// Goes on by what was read after it.
    ///
    /// `known_head` was read before `entries`, so that all up to it was there to be read:
    /// if there are fewer entries than `limit`, the missing numbers were dropped. If there
    /// are as many, more may follow, and the last one is as far as the reader knows.
    pub fn advance(&mut self, known_head: u64, entries: Vec<Revocation>, limit: u32) -> Batch {
        let after_seq = self.0;
        let last = entries.last().map_or(after_seq, |entry| entry.seq);
        let is_full = entries.len() >= limit as usize;
        self.0 = if is_full { last } else { last.max(known_head) };
        Batch {
            after_seq,
            through_seq: self.0,
            entries,
        }
    }
}
