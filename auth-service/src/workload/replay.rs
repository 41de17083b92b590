//! Assertions already seen, so that one opens the door once.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// A `jti` as it is remembered: as long as it takes for collisions not to matter,
/// whatever length the sender chose.
type Fingerprint = [u8; 16];

/// The `jti`s of one workload until their assertions have expired.
///
/// Each workload has a table of its own: one that floods its table shuts itself
/// out and nobody else. Only assertions whose signature was verified get here.
pub(super) struct ReplayTable {
    capacity: usize,
    seen: Mutex<Seen>,
}

/// What became of an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    /// Not seen before.
    First,
    /// Seen before.
    Again,
    /// Cannot be told: the table is full.
    Full,
}

#[derive(Default)]
struct Seen {
    fingerprints: HashSet<Fingerprint>,
    by_last_second: BTreeMap<i64, Vec<Fingerprint>>,
}

impl ReplayTable {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            seen: Mutex::default(),
        }
    }

    /// Remembers `jti` up to and including the second `last`, in which the
    /// assertion is accepted for the last time.
    pub(super) fn remember(&self, jti: &str, last: i64, now: i64) -> Remembered {
        let digest = Sha256::digest(jti.as_bytes());
        let fingerprint = *digest.first_chunk().expect("SHA-256 has 32 bytes");
        // Nothing between the lock and its release can panic half way through a change.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget_before(now);
        if seen.fingerprints.contains(&fingerprint) {
            return Remembered::Again;
        }
        if seen.fingerprints.len() >= self.capacity {
            return Remembered::Full;
        }
        seen.fingerprints.insert(fingerprint);
        seen.by_last_second
            .entry(last)
            .or_default()
            .push(fingerprint);
        Remembered::First
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.seen.lock().unwrap().fingerprints.len()
    }
}

impl Seen {
    fn forget_before(&mut self, now: i64) {
        while let Some(entry) = self.by_last_second.first_entry()
            && *entry.key() < now
        {
            for fingerprint in entry.remove() {
                self.fingerprints.remove(&fingerprint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_use_is_the_only_one() {
        let table = ReplayTable::new(10);
        assert_eq!(table.remember("a", 100, 50), Remembered::First);
        assert_eq!(table.remember("a", 100, 100), Remembered::Again);
        assert_eq!(
            table.remember("a", 130, 60),
            Remembered::Again,
            "whatever its expiry says"
        );
        assert_eq!(table.remember("b", 100, 50), Remembered::First);
    }

    #[test]
    fn forgets_what_cannot_come_again() {
        let table = ReplayTable::new(2);
        table.remember("a", 100, 50);
        table.remember("b", 101, 50);
        assert_eq!(table.remember("c", 160, 100), Remembered::Full);
        assert_eq!(table.remember("c", 160, 101), Remembered::First);
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn full_table_still_tells_a_replay() {
        let table = ReplayTable::new(1);
        table.remember("a", 100, 50);
        assert_eq!(table.remember("b", 100, 50), Remembered::Full);
        assert_eq!(table.remember("a", 100, 50), Remembered::Again);
    }

    #[test]
    fn one_of_many_at_once_is_first() {
        let table = ReplayTable::new(10);
        let firsts = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| table.remember("a", 100, 50)))
                .collect();
            let results = threads.into_iter().map(|thread| thread.join().unwrap());
            results
                .filter(|result| *result == Remembered::First)
                .count()
        });
        assert_eq!(firsts, 1);
    }
}
