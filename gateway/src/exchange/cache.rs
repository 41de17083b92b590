//! Tokens at rest: bounded, each until shortly before its expiry, and none that has
//! been revoked.
//!
//! Lifetimes are spans from the question to the auth service, by a clock that never
//! steps: neither its wall clock nor ours makes a token live longer or die sooner.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use token_verifier::{RevocationError, RevocationKeys, Revocations};

use super::{ExchangeError, Issued, Key, SessionKind, UpstreamToken};

/// The design's longest token lifetime. A longer one is used no longer than this.
const MAX_LIFETIME: Duration = Duration::from_secs(300);

/// A token is not used in its last seconds, so that it is still good where it arrives.
const MARGIN: Duration = Duration::from_secs(5);

/// After a renewal that failed, and as much again at most, so that those which an outage
/// made due together do not come together. The token at hand stays good meanwhile.
const RENEWAL_PAUSE: Duration = Duration::from_secs(1);

/// Whose an anonymous token is.
const ANONYMOUS: &str = "anonymous";

/// One token and what is known about it. Instants are the monotonic clock's.
#[derive(Debug)]
pub(super) struct Entry {
    token: UpstreamToken,
    kind: Option<SessionKind>,
    revocation_keys: RevocationKeys,
    spread: u8,
    /// In microseconds; moves when a renewal has failed.
    renew_at: AtomicU64,
    usable_until: Duration,
    expires_at: Duration,
}

impl Entry {
    /// `spread` places the renewal within its window, from two thirds of the life to
    /// three quarters.
    pub(super) fn new(
        issued: &Issued,
        asked_at: Duration,
        spread: u8,
    ) -> Result<Self, ExchangeError> {
        let token = UpstreamToken::new(&issued.access_token)
            .ok_or(ExchangeError::BadAnswer("the token does not fit a header"))?;
        let life = issued.expires_in.min(MAX_LIFETIME);
        if life.is_zero() {
            return Err(ExchangeError::BadAnswer("the token is already over"));
        }
        if issued.key_id.is_empty() {
            return Err(ExchangeError::BadAnswer("a token of no key"));
        }
        Ok(Self {
            token,
            kind: issued.session.as_ref().map(|session| session.kind),
            revocation_keys: revocation_keys(issued),
            spread,
            renew_at: micros(asked_at + life * 2 / 3 + life / 12 * u32::from(spread) / 256).into(),
            usable_until: asked_at + life - MARGIN.min(life / 4),
            expires_at: asked_at + life,
        })
    }

    pub(super) fn token(&self) -> &UpstreamToken {
        &self.token
    }

    /// `None` for an anonymous token.
    pub(super) fn kind(&self) -> Option<SessionKind> {
        self.kind
    }

    /// What can revoke the token.
    pub(super) fn revocation_keys(&self) -> &RevocationKeys {
        &self.revocation_keys
    }

    pub(super) fn renew_at(&self) -> Duration {
        Duration::from_micros(self.renew_at.load(Ordering::Relaxed))
    }

    pub(super) fn expires_at(&self) -> Duration {
        self.expires_at
    }

    fn renewal_is_due(&self, now: Duration) -> bool {
        now >= self.renew_at()
    }
}

fn revocation_keys(issued: &Issued) -> RevocationKeys {
    let (session, subject) = match &issued.session {
        Some(session) => (Some(session.id.as_str()), session.subject.as_str()),
        None => (None, ANONYMOUS),
    };
    RevocationKeys::new(session, subject, &issued.key_id, issued.issued_at)
}

/// What the cache says about a key.
#[derive(Debug)]
pub(super) enum Found {
    /// A token that may be used now.
    Usable {
        /// The token.
        entry: Arc<Entry>,
        /// Whether a fresher one should be on its way.
        renewal_is_due: bool,
    },
    /// A token that has been revoked; it is gone now.
    Revoked,
    /// None, or one that is over.
    Nothing,
    /// There is one, and whether it has been revoked is not known.
    Unknown(RevocationError),
}

pub(super) struct Cache {
    entries: quick_cache::sync::Cache<Key, Arc<Entry>>,
    revocations: Revocations,
}

impl Cache {
    pub(super) fn new(capacity: usize, revocations: Revocations) -> Self {
        Self {
            entries: quick_cache::sync::Cache::new(capacity.max(1)),
            revocations,
        }
    }

    pub(super) fn find(&self, key: &Key, now: Duration) -> Found {
        let Some(entry) = self.entries.get(key) else {
            return Found::Nothing;
        };
        if now >= entry.usable_until {
            self.drop_entry(key, &entry);
            return Found::Nothing;
        }
        match self.revocations.check(&entry.revocation_keys) {
            Ok(()) => Found::Usable {
                renewal_is_due: entry.renewal_is_due(now),
                entry,
            },
            Err(RevocationError::Revoked) => {
                self.drop_entry(key, &entry);
                Found::Revoked
            }
            Err(unknown @ (RevocationError::NoSnapshot | RevocationError::Stale)) => {
                Found::Unknown(unknown)
            }
        }
    }

    /// Whether this is the token that the next request would use.
    pub(super) fn is_current(&self, key: &Key, entry: &Arc<Entry>) -> bool {
        let found = self.entries.peek(key);
        found.is_some_and(|found| Arc::ptr_eq(&found, entry))
    }

    /// Drops this token and no other: somebody may have put a fresh one in its place.
    pub(super) fn drop_entry(&self, key: &Key, entry: &Arc<Entry>) {
        self.entries
            .remove_if(key, |found| Arc::ptr_eq(found, entry));
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

    pub(super) fn postpone_renewal(&self, key: &Key, now: Duration) {
        if let Some(entry) = self.entries.peek(key) {
            let pause = RENEWAL_PAUSE + RENEWAL_PAUSE * u32::from(entry.spread) / 256;
            entry.renew_at.store(micros(now + pause), Ordering::Relaxed);
        }
    }
}

fn micros(at: Duration) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
