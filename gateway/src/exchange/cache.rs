//! Tokens at rest: bounded, each until shortly before its expiry, and none of a
//! session that ended here.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{ExchangeError, Issued, IssuedSession, Key, SessionKind, UpstreamToken};

/// The design's longest token lifetime. A longer one is used no longer than this.
const MAX_LIFETIME: SignedDuration = SignedDuration::from_secs(300);

/// A token is not used in its last seconds, so that it is still good where it arrives.
const MARGIN: SignedDuration = SignedDuration::from_secs(5);

/// After a renewal that failed. The token at hand stays good meanwhile.
const RENEWAL_PAUSE: SignedDuration = SignedDuration::from_secs(1);

/// How long an ended session is remembered: no token of it, on the way or cached, can
/// be younger than this.
const ENDED_FOR: SignedDuration = SignedDuration::from_secs(360);

/// Ended sessions remembered at once, about 10 MB.
const MAX_ENDED: usize = 100_000;

/// One token and what is known about it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    token: UpstreamToken,
    session: Option<(SessionKind, Arc<str>)>,
    renew_at: Timestamp,
    usable_until: Timestamp,
}

impl Entry {
    /// `spread` places the renewal within its window, from two thirds of the life to
    /// three quarters.
    pub(super) fn new(
        issued: Issued,
        asked_at: Timestamp,
        spread: u8,
    ) -> Result<Self, ExchangeError> {
        let token = UpstreamToken::new(&issued.access_token)
            .ok_or(ExchangeError::BadAnswer("the token does not fit a header"))?;
        let life = lifetime(issued.expires_in);
        if life <= SignedDuration::ZERO {
            return Err(ExchangeError::BadAnswer("the token is already over"));
        }
        let session = issued
            .session
            .map(|IssuedSession { kind, id }| (kind, id.into()));
        Ok(Self {
            token,
            session,
            renew_at: asked_at + life * 2 / 3 + life / 12 * i32::from(spread) / 256,
            usable_until: asked_at + life - MARGIN.min(life / 4),
        })
    }

    pub(super) fn token(&self) -> &UpstreamToken {
        &self.token
    }

    pub(super) fn kind(&self) -> Option<SessionKind> {
        self.session.as_ref().map(|(kind, _)| *kind)
    }

    pub(super) fn renewal_is_due(&self, now: Timestamp) -> bool {
        now >= self.renew_at
    }
}

fn lifetime(expires_in: Duration) -> SignedDuration {
    SignedDuration::try_from(expires_in)
        .unwrap_or(MAX_LIFETIME)
        .min(MAX_LIFETIME)
}

pub(super) struct Cache {
    entries: quick_cache::sync::Cache<Key, Arc<Entry>>,
    ended: EndedSessions,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            entries: quick_cache::sync::Cache::new(capacity.max(1)),
            ended: EndedSessions::default(),
        }
    }

    /// A token that may be used now.
    pub(super) fn get(&self, key: &Key, now: Timestamp) -> Option<Arc<Entry>> {
        let entry = self.entries.get(key)?;
        if now < entry.usable_until && !self.has_ended(&entry) {
            return Some(entry);
        }
        // Only this one: another request may have put a fresh one in its place.
        self.entries
            .remove_if(key, |found| Arc::ptr_eq(found, &entry));
        None
    }

    pub(super) fn insert(&self, key: Key, entry: Arc<Entry>) {
        self.entries.insert(key, entry);
    }

    pub(super) fn remove(&self, key: &Key) {
        self.entries.remove(key);
    }

    pub(super) fn clear(&self) {
        self.entries.clear();
    }

    pub(super) fn postpone_renewal(&self, key: &Key, now: Timestamp) {
        if let Some(entry) = self.entries.peek(key) {
            let later = Entry {
                renew_at: now + RENEWAL_PAUSE,
                ..(*entry).clone()
            };
            self.entries.insert(key.clone(), Arc::new(later));
        }
    }

    pub(super) fn has_ended(&self, entry: &Entry) -> bool {
        entry
            .session
            .as_ref()
            .is_some_and(|(_, id)| self.ended.contains(id))
    }

    /// True if there were too many to remember and every token must go.
    #[must_use]
    pub(super) fn session_ended(&self, session_id: &str, now: Timestamp) -> bool {
        self.ended.insert(session_id, now)
    }
}

/// Sessions that ended through this gateway lately.
#[derive(Default)]
struct EndedSessions {
    until: RwLock<HashMap<Arc<str>, Timestamp>>,
    /// So that the usual case, none, takes no lock.
    count: AtomicUsize,
}

impl EndedSessions {
    fn contains(&self, session_id: &str) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && self
                .until
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .contains_key(session_id)
    }

    fn insert(&self, session_id: &str, now: Timestamp) -> bool {
        let mut until = self.until.write().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= MAX_ENDED {
            until.retain(|_, until| *until > now);
        }
        let full = until.len() >= MAX_ENDED;
        if full {
            until.clear();
        }
        until.insert(session_id.into(), now + ENDED_FOR);
        self.count.store(until.len(), Ordering::Release);
        full
    }
}

#[cfg(test)]
mod tests;
