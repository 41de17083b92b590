//! Things that wait for word of a session: many of them, and word of one at a time.
//!
//! Sharded, so that streams which open and close on several cores seldom meet. Every
//! operation on one session costs the logarithm of what its shard holds and what the
//! session itself holds; nothing walks over other sessions but [`BySession::matching`],
//! which is for events that an operator causes.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A power of two, several times the cores of a large machine.
const SHARDS: usize = 64;

/// A session's name, and which of its entries. Ordered, so that a session's entries
/// stand together.
type Key = (u128, u64);

/// Entries by session. An entry is there for as long as its [`Place`].
pub(crate) struct BySession<T> {
    shards: [Mutex<BTreeMap<Key, Arc<T>>>; SHARDS],
    /// Sessions' names may be chosen by somebody; which shard they fall into may not.
    spread: RandomState,
    next: AtomicU64,
    len: AtomicUsize,
}

impl<T> BySession<T> {
    /// Adds an entry for `session`.
    pub(crate) fn insert(self: &Arc<Self>, session: u128, entry: T) -> Place<T> {
        let key = (session, self.next.fetch_add(1, Ordering::Relaxed));
        let entry = Arc::new(entry);
        // Before it can be found, so that whoever sees no entries may skip the search.
        self.len.fetch_add(1, Ordering::SeqCst);
        self.shard(session).insert(key, Arc::clone(&entry));
        let index = Arc::clone(self);
        Place { index, key, entry }
    }

    /// The entries of one session. The lock is free again when this returns, so the caller
    /// may wake, drop and insert.
    pub(crate) fn of(&self, session: u128) -> Vec<Arc<T>> {
        let shard = self.shard(session);
        let entries = shard.range((session, u64::MIN)..=(session, u64::MAX));
        entries.map(|(_, entry)| Arc::clone(entry)).collect()
    }

    /// The entries of every session that satisfy `wanted`, a shard at a time.
    pub(crate) fn matching(&self, wanted: impl Fn(&T) -> bool) -> impl Iterator<Item = Arc<T>> {
        self.shards.iter().flat_map(move |shard| {
            let shard = lock(shard);
            let entries = shard.values().filter(|entry| wanted(entry));
            entries.map(Arc::clone).collect::<Vec<_>>()
        })
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    fn shard(&self, session: u128) -> MutexGuard<'_, BTreeMap<Key, Arc<T>>> {
        let hash = self.spread.hash_one(session);
        // The modulus is far below 2^32, so the cut loses nothing.
        let index = usize::try_from(hash % SHARDS as u64).unwrap_or_default();
        lock(&self.shards[index])
    }
}

/// A map is whole whenever its lock is free, whoever panicked while holding it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Default for BySession<T> {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            spread: RandomState::new(),
            next: AtomicU64::new(0),
            len: AtomicUsize::new(0),
        }
    }
}

impl<T> fmt::Debug for BySession<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BySession")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// An entry's place, which it leaves when this is dropped.
pub(crate) struct Place<T> {
    index: Arc<BySession<T>>,
    key: Key,
    entry: Arc<T>,
}

impl<T> std::ops::Deref for Place<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.entry
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        // The last reference may go with it, so it must outlive the lock.
        let removed = self.index.shard(self.key.0).remove(&self.key);
        self.index.len.fetch_sub(1, Ordering::SeqCst);
        drop(removed);
    }
}

#[cfg(test)]
mod tests;
