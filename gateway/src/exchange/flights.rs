//! Exchanges under way: one per key, shared by everybody who wants the same token.
//!
//! The table's lock also orders landings against cancellations. A flight that was
//! cancelled finds that it is no longer in the table, and its token goes nowhere.

use std::{
    collections::{HashMap, hash_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{ExchangeError, Key, cache::Entry};

pub(super) type Landing = Result<Arc<Entry>, ExchangeError>;
type Arrivals = watch::Receiver<Option<Landing>>;

/// Tells flights with the same key apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flight(u64);

pub(super) enum Boarding {
    /// The caller makes the exchange and lands it through a [`Seat`].
    Started {
        flight: Flight,
        arrivals: Arrivals,
    },
    Joined(Arrivals),
    /// As many as the settings allow are under way.
    Full,
}

pub(super) struct Flights {
    table: Mutex<Table>,
    capacity: usize,
}

#[derive(Default)]
struct Table {
    under_way: HashMap<Key, (Flight, watch::Sender<Option<Landing>>)>,
    started: u64,
}

impl Flights {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            table: Mutex::default(),
            capacity,
        }
    }

    pub(super) fn board(&self, key: &Key) -> Boarding {
        let mut table = self.lock();
        if let Some((_, sender)) = table.under_way.get(key) {
            return Boarding::Joined(sender.subscribe());
        }
        if table.under_way.len() >= self.capacity {
            return Boarding::Full;
        }
        table.started += 1;
        let flight = Flight(table.started);
        let (sender, arrivals) = watch::channel(None);
        table.under_way.insert(key.clone(), (flight, sender));
        Boarding::Started { flight, arrivals }
    }

    /// Takes a flight out of the air and does `also` before any other can land.
    /// Whoever waits for it is told to ask again.
    pub(super) fn cancel(&self, key: &Key, also: impl FnOnce()) {
        let mut table = self.lock();
        if let Some((_, sender)) = table.under_way.remove(key) {
            sender.send_replace(Some(Err(ExchangeError::Superseded)));
        }
        also();
    }

    pub(super) fn cancel_all(&self, also: impl FnOnce()) {
        let mut table = self.lock();
        for (_, (_, sender)) in table.under_way.drain() {
            sender.send_replace(Some(Err(ExchangeError::Superseded)));
        }
        also();
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().under_way.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // No code that can panic runs under the lock, and the table is whole between
        // any two lines that do.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the flight if it is still the one under way.
    fn take(&self, key: &Key, flight: Flight, then: impl FnOnce(watch::Sender<Option<Landing>>)) {
        let mut table = self.lock();
        if let hash_map::Entry::Occupied(entry) = table.under_way.entry(key.clone())
            && entry.get().0 == flight
        {
            let (_, sender) = entry.remove();
            then(sender);
        }
    }
}

/// A started flight's place in the table; gives it up when the task dies.
pub(super) struct Seat<'a> {
    flights: &'a Flights,
    key: &'a Key,
    flight: Flight,
}

impl<'a> Seat<'a> {
    pub(super) fn new(flights: &'a Flights, key: &'a Key, flight: Flight) -> Self {
        Self {
            flights,
            key,
            flight,
        }
    }

    /// Unless it was cancelled: does `also` and tells everybody who waits.
    pub(super) fn land(self, landing: Landing, also: impl FnOnce()) {
        self.flights.take(self.key, self.flight, |sender| {
            also();
            sender.send_replace(Some(landing));
        });
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // After `land` there is nothing left to take; after a panic the sender's end
        // wakes those who wait.
        self.flights.take(self.key, self.flight, drop);
    }
}
