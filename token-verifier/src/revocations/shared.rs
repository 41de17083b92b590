//! What readers look at, and how the one writer changes it under their eyes.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::watch;

use super::entries::Entries;
use super::follower::Effects;
use super::issuer_clock::micros;
use super::keys::session_name;
use super::message::{Revoked, Target};
use super::notes::Notes;
use super::options::{FeedState, FollowOptions, OnStale};
use super::subscriptions::Subscribers;
use super::table::{EVERYTHING, Entry, Table};
use super::{RevocationError, RevocationKeys};
use crate::clock::Clock;

/// How long a note of our own is of use: a token lives 300 s at most, and clocks may differ.
/// The auth service keeps its own entries as long.
const NOTE_TTL_S: u32 = 360;

/// `seen` when there is no snapshot.
const NEVER: u64 = 0;

/// `seen` of what never gets stale.
const FOR_EVER: u64 = u64::MAX;

/// `issuer_offset_us` before the first message.
const UNKNOWN: i64 = i64::MIN;

pub(super) struct Shared {
    clock: Arc<dyn Clock>,
    on_stale: OnStale,
    heartbeat_timeout_us: u64,
    in_force: ArcSwap<Tables>,
    /// When nothing was missing, in microseconds of monotonic time, plus one.
    seen: AtomicU64,
    issuer_offset_us: AtomicI64,
    live: AtomicUsize,
    writer: Mutex<Writer>,
    state: watch::Sender<FeedState>,
    pub(super) subscribers: Subscribers,
}

/// Sessions, and everything else.
struct Tables {
    sessions: Arc<Table>,
    others: Arc<Table>,
}

#[derive(Default)]
struct Writer {
    in_force: Collection,
    aside: Option<Collection>,
    notes: Notes,
    /// By when what expires is forgotten, and when that was decided.
    expired_s: i64,
    expired_at: Duration,
}

#[derive(Default)]
struct Collection {
    sessions: Entries,
    others: Entries,
}

impl Shared {
    pub(super) fn new(options: &FollowOptions, clock: Arc<dyn Clock>) -> Self {
        let writer = Writer::default();
        Self {
            clock,
            on_stale: options.on_stale,
            heartbeat_timeout_us: micros(options.heartbeat_timeout).unsigned_abs(),
            in_force: ArcSwap::from_pointee(writer.in_force.tables()),
            seen: AtomicU64::new(NEVER),
            issuer_offset_us: AtomicI64::new(UNKNOWN),
            live: AtomicUsize::new(0),
            writer: Mutex::new(writer),
            state: watch::Sender::new(FeedState::NoSnapshot),
            subscribers: Subscribers::default(),
        }
    }

    /// Nothing is revoked, and nothing ever gets stale.
    #[cfg(feature = "testing")]
    pub(super) fn follow_for_ever(&self) {
        self.seen.store(FOR_EVER, Ordering::Release);
        self.state.send_replace(FeedState::Following);
    }

    pub(super) fn check(&self, keys: &RevocationKeys) -> Result<(), RevocationError> {
        // Before the tables: what the feed had brought by then, they hold. The other way
        // round, a snapshot between the two would pass for a look into it.
        let seen = self.seen.load(Ordering::Acquire);
        if self.in_force.load().revoke(keys) {
            return Err(RevocationError::Revoked);
        }
        if seen == NEVER {
            return Err(RevocationError::NoSnapshot);
        }
        if self.on_stale == OnStale::Refuse && self.is_stale(seen) {
            return Err(RevocationError::Stale);
        }
        Ok(())
    }

    pub(super) fn state(&self) -> FeedState {
        match self.seen.load(Ordering::Acquire) {
            NEVER => FeedState::NoSnapshot,
            seen if self.is_stale(seen) => FeedState::Stale,
            _ => FeedState::Following,
        }
    }

    /// Asked of the clock at every look and not left to the driver: a process that was
    /// stopped for a minute may answer a request before its driver runs.
    fn is_stale(&self, seen: u64) -> bool {
        let now = self.monotonic_us();
        seen != FOR_EVER && now.saturating_sub(seen - 1) >= self.heartbeat_timeout_us
    }

    pub(super) fn issuer_now(&self) -> Option<Timestamp> {
        let offset = self.issuer_offset_us.load(Ordering::Relaxed);
        if offset == UNKNOWN {
            return None;
        }
        let now_us = offset.checked_add_unsigned(self.monotonic_us())?;
        Timestamp::from_microsecond(now_us).ok()
    }

    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let tables = self.in_force.load();
        tables.sessions.memory_bytes() + tables.others.memory_bytes()
    }

    pub(super) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn monotonic_us(&self) -> u64 {
        micros(self.monotonic()).unsigned_abs()
    }

    pub(super) fn changed(&self) -> watch::Receiver<FeedState> {
        self.state.subscribe()
    }

    /// Tells those who wait of the state, if it is another. Returns it then.
    pub(super) fn announce_state(&self) -> Option<FeedState> {
        let state = self.state();
        let is_new = self.state.send_if_modified(|known| {
            let is_new = *known != state;
            *known = state;
            is_new
        });
        if !is_new {
            return None;
        }
        if state == FeedState::Stale && self.on_stale == OnStale::Refuse {
            self.subscribers.wake_all();
        }
        Some(state)
    }

    /// How many more revocations there is room for where the next ones go.
    pub(super) fn room(&self, is_collecting: bool, max_entries: usize) -> usize {
        let writer = self.writer();
        let collection = match &writer.aside {
            Some(aside) if is_collecting => aside,
            _ => &writer.in_force,
        };
        max_entries.saturating_sub(collection.live())
    }

    /// Everything but the keys. Readers see all of it when this returns.
    pub(super) fn apply(&self, effects: &Effects) {
        if let Some(offset) = effects.issuer_offset_us {
            self.issuer_offset_us.store(offset, Ordering::Relaxed);
        }
        let mut writer = self.writer();
        if effects.snapshot_begins {
            writer.aside = Some(Collection::default());
        }
        writer.add(&effects.revoked);
        if effects.snapshot_ends {
            writer.put_in_force();
        }
        self.publish(&writer);
        drop(writer);
        if let Some(at) = effects.seen_at {
            let seen = micros(at).unsigned_abs() + 1;
            self.seen.store(seen, Ordering::Release);
        }
        self.wake(effects);
    }

    pub(super) fn note_session_ended(&self, session_id: &str) {
        let name = session_name(session_id);
        let now = self.issuer_now().unwrap_or_else(|| self.clock.now());
        let now_s = u32::try_from(now.as_second()).unwrap_or_default();
        let entry = Entry {
            name,
            expires_at_s: now_s.saturating_add(NOTE_TTL_S),
            issued_before_s: EVERYTHING,
        };
        let mut writer = self.writer();
        writer.notes.add(entry);
        writer.in_force.sessions.insert(entry);
        self.publish(&writer);
        drop(writer);
        self.subscribers.wake_session(name);
    }

    /// Forgets what has expired by the auth service's time.
    pub(super) fn expire(&self) {
        let Some(now) = self.issuer_now() else {
            return;
        };
        let mut writer = self.writer();
        writer.expire(now.as_second(), self.monotonic());
        self.publish(&writer);
    }

    /// What was being collected aside will not be finished.
    pub(super) fn drop_aside(&self) {
        // Not under the lock: it may be large.
        let aside = self.writer().aside.take();
        drop(aside);
    }

    fn publish(&self, writer: &Writer) {
        let collection = &writer.in_force;
        self.live.store(collection.live(), Ordering::Relaxed);
        if !self.in_force.load().are(collection) {
            self.in_force.store(Arc::new(collection.tables()));
        }
    }

    fn wake(&self, effects: &Effects) {
        if effects.snapshot_ends {
            self.subscribers.wake_all();
            return;
        }
        for revoked in &effects.revoked {
            match revoked.target {
                Target::Session(name) => self.subscribers.wake_session(name),
                Target::Subject { name, .. } => self.subscribers.wake_subject(name),
                Target::Key(name) => self.subscribers.wake_key(name),
            };
        }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // What a panic leaves half done is an entry that is in force and not counted.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn revoke(&self, keys: &RevocationKeys) -> bool {
        let is_session_revoked = keys
            .session
            .is_some_and(|name| self.sessions.issued_before(name).is_some());
        is_session_revoked
            || self.others.issued_before(keys.key).is_some()
            || self
                .others
                .issued_before(keys.subject)
                .is_some_and(|second| keys.issued_at_s < i64::from(second))
    }

    fn are(&self, collection: &Collection) -> bool {
        Arc::ptr_eq(&self.sessions, collection.sessions.table())
            && Arc::ptr_eq(&self.others, collection.others.table())
    }
}

impl Writer {
    fn add(&mut self, revoked: &[Revoked]) {
        let collection = self.aside.as_mut().unwrap_or(&mut self.in_force);
        for revoked in revoked {
            collection.add(revoked);
        }
    }

    /// What the gateway ended itself stays ended, whether or not the snapshot was taken
    /// before.
    fn put_in_force(&mut self) {
        let Some(mut collection) = self.aside.take() else {
            return;
        };
        for note in self.notes.iter() {
            collection.sessions.insert(note);
        }
        self.in_force = collection;
    }

    /// The time by which entries expire goes forwards at twice the speed of time at most.
    /// So an auth service whose clock leaps an hour ahead and comes back has not made
    /// anybody forget what is revoked.
    fn expire(&mut self, now_s: i64, now: Duration) {
        let passed = now.saturating_sub(self.expired_at).as_secs();
        let most_s = match self.expired_s {
            0 => now_s,
            before => before.saturating_add_unsigned(2 * passed),
        };
        if passed == 0 && self.expired_s != 0 {
            return;
        }
        self.expired_s = now_s.min(most_s);
        self.expired_at = now;
        let Ok(by_s) = u32::try_from(self.expired_s) else {
            return;
        };
        self.in_force.sessions.expire(by_s);
        self.in_force.others.expire(by_s);
        self.notes.expire(by_s);
    }
}

impl Collection {
    fn tables(&self) -> Tables {
        Tables {
            sessions: Arc::clone(self.sessions.table()),
            others: Arc::clone(self.others.table()),
        }
    }

    fn live(&self) -> usize {
        self.sessions.live() + self.others.live()
    }

    fn add(&mut self, revoked: &Revoked) {
        let entry = |name, issued_before_s| Entry {
            name,
            expires_at_s: revoked.expires_at_s,
            issued_before_s,
        };
        match revoked.target {
            Target::Session(name) => self.sessions.insert(entry(name, EVERYTHING)),
            Target::Key(name) => self.others.insert(entry(name, EVERYTHING)),
            Target::Subject {
                name,
                issued_before_s,
            } => self.others.insert(entry(name, issued_before_s)),
        }
    }
}
