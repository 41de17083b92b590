//! The writer's side of a [`Table`]: what is alive in it, and when to copy it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::table::{Entry, Inserted, Table};

/// Below that, expired entries cost too little to copy the rest for.
const LEAST_WORTH_COPYING: usize = 1024;

pub(super) struct Entries {
    table: Arc<Table>,
    /// How many slots are filled.
    filled: usize,
    /// How many entries expire in which second.
    expiries: BTreeMap<u32, usize>,
    live: usize,
    /// What expires until then is forgotten at the next copy.
    expired_through_s: u32,
}

impl Default for Entries {
    fn default() -> Self {
        Self {
            table: Arc::new(Table::for_entries(0)),
            filled: 0,
            expiries: BTreeMap::new(),
            live: 0,
            expired_through_s: 0,
        }
    }
}

impl Entries {
    pub(super) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Readers of the table see the entry when this returns; unless the table had to be
    /// replaced, which is when they are to be given the new one.
    pub(super) fn insert(&mut self, entry: Entry) {
        // Who adds what should have expired knows of a clock that was set back.
        let before_s = entry.expires_at_s.saturating_sub(1);
        self.expired_through_s = self.expired_through_s.min(before_s);
        if self.filled >= self.table.room() {
            self.copy();
        }
        match self.table.insert(entry) {
            Inserted::New => {
                self.filled += 1;
                self.expect_expiry(entry.expires_at_s);
            }
            Inserted::Merged { expired_at_s } if expired_at_s < entry.expires_at_s => {
                self.forget_expiry(expired_at_s);
                self.expect_expiry(entry.expires_at_s);
            }
            Inserted::Merged { .. } => {}
        }
    }

    /// Forgets what has expired by `now_s`, for good once it is half of the table.
    pub(super) fn expire(&mut self, now_s: u32) {
        let was_set_back = now_s < self.expired_through_s;
        self.expired_through_s = now_s;
        if was_set_back {
            self.recount();
        }
        while let Some(first) = self.expiries.first_entry() {
            if *first.key() > now_s {
                break;
            }
            self.live -= first.remove();
        }
        if self.filled >= LEAST_WORTH_COPYING && self.live < self.filled / 2 {
            self.copy();
        }
    }

    /// The auth service's clock was set back: what had expired and is still in the table is
    /// alive again, and the next copy needs room for it.
    fn recount(&mut self) {
        self.expiries.clear();
        self.live = 0;
        let table = Arc::clone(&self.table);
        let alive = table
            .entries()
            .filter(|entry| entry.expires_at_s > self.expired_through_s)
            .map(|entry| entry.expires_at_s);
        for at_s in alive.collect::<Vec<_>>() {
            self.expect_expiry(at_s);
        }
    }

    /// Into a new table, which has room for half as many again: what is copied now is
    /// copied again only after that many insertions. Counts anew: what had expired is alive
    /// again if the time was set back meanwhile.
    fn copy(&mut self) {
        let by_s = self.expired_through_s;
        let before = Arc::clone(&self.table);
        let alive = || before.entries().filter(|entry| entry.expires_at_s > by_s);
        let count = alive().count();
        let table = Table::for_entries(count + count / 2);
        (self.filled, self.live) = (count, 0);
        self.expiries.clear();
        for entry in alive() {
            table.insert(entry);
            self.expect_expiry(entry.expires_at_s);
        }
        self.table = Arc::new(table);
    }

    fn expect_expiry(&mut self, at_s: u32) {
        *self.expiries.entry(at_s).or_default() += 1;
        self.live += 1;
    }

    fn forget_expiry(&mut self, at_s: u32) {
        if let Some(count) = self.expiries.get_mut(&at_s) {
            *count -= 1;
            self.live -= 1;
            if *count == 0 {
                self.expiries.remove(&at_s);
            }
        }
    }
}

#[cfg(test)]
mod tests;
