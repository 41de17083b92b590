//! A hash table that many read while one writes, without a lock and without waiting.
//!
//! Open addressing with linear probing over atomics: a slot is filled once and never
//! emptied or moved, so a reader needs no protection from the writer. What has expired is
//! left behind when the writer copies the table into a new one. There is one writer at a
//! time; the caller sees to that.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::RngExt as _;

/// The fewest slots. Small enough to forget about, large enough for a quiet day.
const LEAST_SLOTS: usize = 64;

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: u128,
    /// In seconds since 1970; never 0, which is how an empty slot looks.
    pub(super) expires_at_s: u32,
    /// Tokens with an earlier `iat` are revoked; [`EVERYTHING`] for all.
    pub(super) issued_before_s: u32,
}

/// Whatever `iat` a token has.
pub(super) const EVERYTHING: u32 = u32::MAX;

/// 24 bytes.
#[derive(Default)]
struct Slot {
    high: AtomicU64,
    low: AtomicU64,
    /// `expires_at_s` above `issued_before_s`; 0 while the slot is empty. Written after the
    /// name, with release, and read before it, with acquire: who sees a value sees whose.
    value: AtomicU64,
}

pub(super) struct Table {
    slots: Box<[Slot]>,
    /// Names come from outside, so where they fall may not be known outside.
    seed: [u64; 2],
}

/// What an insertion did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inserted {
    New,
    /// The name was there; this is when it would have expired.
    Merged {
        expired_at_s: u32,
    },
}

impl Table {
    /// A table for `entries` of them.
    pub(super) fn for_entries(entries: usize) -> Self {
        let slots = (entries + entries / 3 + 1).max(LEAST_SLOTS);
        let mut rng = rand::rng();
        Self {
            slots: std::iter::repeat_with(Slot::default).take(slots).collect(),
            seed: [rng.random(), rng.random()],
        }
    }

    /// How many entries it may hold: three quarters of its slots, beyond which probing
    /// gets long.
    pub(super) fn room(&self) -> usize {
        self.slots.len() - self.slots.len().div_ceil(4)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    /// Before which second tokens under this name are revoked.
    pub(super) fn issued_before(&self, name: u128) -> Option<u32> {
        let (_, value) = self.find(name)?;
        let (_, issued_before_s) = unpack(value);
        Some(issued_before_s)
    }

    /// Adds an entry, or lets the one of that name last longer and reach further. The
    /// caller keeps to [`room`](Self::room).
    pub(super) fn insert(&self, entry: Entry) -> Inserted {
        if let Some((slot, value)) = self.find(entry.name) {
            let (expired_at_s, issued_before_s) = unpack(value);
            let expires_at_s = expired_at_s.max(entry.expires_at_s);
            let issued_before_s = issued_before_s.max(entry.issued_before_s);
            slot.value
                .store(pack(expires_at_s, issued_before_s), Ordering::Release);
            return Inserted::Merged { expired_at_s };
        }
        let empty = self
            .probe(entry.name)
            .find(|slot| slot.value.load(Ordering::Relaxed) == 0);
        let slot = empty.expect("the writer keeps a quarter of the slots empty");
        let (high, low) = halves(entry.name);
        slot.high.store(high, Ordering::Relaxed);
        slot.low.store(low, Ordering::Relaxed);
        slot.value.store(
            pack(entry.expires_at_s, entry.issued_before_s),
            Ordering::Release,
        );
        Inserted::New
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.slots.iter().filter_map(|slot| {
            let value = slot.value.load(Ordering::Acquire);
            (value != 0).then(|| slot.entry(value))
        })
    }

    fn find(&self, name: u128) -> Option<(&Slot, u64)> {
        let halves = halves(name);
        for slot in self.probe(name) {
            let value = slot.value.load(Ordering::Acquire);
            if value == 0 {
                return None;
            }
            if slot.halves() == halves {
                return Some((slot, value));
            }
        }
        None
    }

    /// The slots where a name may stand, each once.
    fn probe(&self, name: u128) -> impl Iterator<Item = &Slot> {
        let (before, from) = self.slots.split_at(self.place(name));
        from.iter().chain(before)
    }

    /// Folded multiplication under a secret seed, which names cannot be chosen against.
    fn place(&self, name: u128) -> usize {
        let (high, low) = halves(name);
        let first = folded(high ^ self.seed[0], low ^ self.seed[1]);
        // Once more, so that names which differ in few bits fall far apart.
        let hash = folded(first, self.seed[0] | 1);
        // Scales the hash to the number of slots, which need not be a power of two.
        let slots = self.slots.len() as u128;
        usize::try_from((u128::from(hash) * slots) >> 64).unwrap_or_default()
    }
}

impl Slot {
    fn halves(&self) -> (u64, u64) {
        (
            self.high.load(Ordering::Relaxed),
            self.low.load(Ordering::Relaxed),
        )
    }

    fn entry(&self, value: u64) -> Entry {
        let (high, low) = self.halves();
        let (expires_at_s, issued_before_s) = unpack(value);
        Entry {
            name: u128::from(high) << 64 | u128::from(low),
            expires_at_s,
            issued_before_s,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves")]
fn halves(name: u128) -> (u64, u64) {
    ((name >> 64) as u64, name as u64)
}

fn folded(a: u64, b: u64) -> u64 {
    let (high, low) = halves(u128::from(a) * u128::from(b));
    high ^ low
}

fn pack(expires_at_s: u32, issued_before_s: u32) -> u64 {
    u64::from(expires_at_s) << 32 | u64::from(issued_before_s)
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves")]
fn unpack(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, value as u32)
}

#[cfg(test)]
mod tests;
