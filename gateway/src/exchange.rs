//! Session → access token for one audience, cached.
//!
//! This is the only place that makes an [`UpstreamToken`], and `upstream` cannot
//! call a service without one.
//!
//! A token is found by the *hash* of the session secret and the audience. Concurrent
//! misses share one flight to the auth service, which is a task of its own: a caller
//! that goes away takes nothing from the others. From two thirds of a token's life a
//! request that uses it starts a renewal that nobody waits for.
//!
//! Every use asks the revocations, which the auth service pushes: of a token's session,
//! of its subject, of its key. While those are not known, no token is used.
//!
//! What ends a session here ([`Exchange::forget_secret`], [`Exchange::session_ended`])
//! also ends the flights in the air for it: a token asked for before a logout is
//! neither cached nor used after it. Errors are never cached.

mod cache;
mod error;
mod flights;
mod grant;
mod metrics;
mod source;

use std::{sync::Arc, time::Duration};

use chassis::Clock;
use token_verifier::{RevocationError, Revocations};

use self::{
    cache::{Cache, Entry, Found},
    flights::{Boarding, Flights, Landing},
};
pub(crate) use self::{
    error::ExchangeError,
    grant::{Grant, UpstreamToken},
    metrics::ExchangeMetrics,
    source::{Issued, IssuedSession, TokenSource},
};
use crate::{
    credential::{SecretHash, SessionSecret},
    task,
};

/// Between two new tokens for the same key that are fetched because of refusals.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

/// Far more than can be refused within that pause while things go well.
const REMEMBERED_REFUSALS: usize = 10_000;

/// How often a request asks again because the session it asked for was changed
/// meanwhile, or its new token's key revoked. Twice is already strange.
const ATTEMPTS: usize = 3;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionKind {
    /// Nobody has signed in.
    Guest,
    /// A person.
    User,
}

/// How many tokens are kept, and how the auth service is asked.
#[derive(Clone, Debug)]
pub struct ExchangeSettings {
    /// Tokens kept; the least used go first.
    pub cached_tokens: usize,
    /// Exchanges under way at the auth service at once.
    pub concurrency: usize,
    /// Exchanges under way or waiting; more are refused with 503.
    pub queue: usize,
    /// From a request's first wish to the auth service's answer.
    pub timeout: Duration,
}

impl Default for ExchangeSettings {
    fn default() -> Self {
        Self {
            // About a kilobyte each.
            cached_tokens: 100_000,
            // The auth service reads one row and signs once; more callers than this only
            // queue there instead of here.
            concurrency: 64,
            queue: 4_096,
            timeout: Duration::from_secs(5),
        }
    }
}

/// Whose token, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    holder: Holder,
    audience: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Anonymous,
    Session(SecretHash),
}

/// The gateway's tokens. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Exchange {
    inner: Arc<Inner>,
}

struct Inner {
    source: Arc<dyn TokenSource>,
    cache: Cache,
    /// When a token of this key was last refused, by the monotonic clock.
    refusals: quick_cache::sync::Cache<Key, Duration>,
    revocations: Revocations,
    flights: Flights,
    /// Everything a session's tokens can be for: what to forget when it ends.
    audiences: Vec<Arc<str>>,
    permits: tokio::sync::Semaphore,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    metrics: ExchangeMetrics,
}

impl Exchange {
    pub(crate) fn new(
        source: Arc<dyn TokenSource>,
        audiences: Vec<Arc<str>>,
        settings: &ExchangeSettings,
        revocations: Revocations,
        clock: Arc<dyn Clock>,
        metrics: ExchangeMetrics,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                source,
                cache: Cache::new(settings.cached_tokens, revocations.clone()),
                refusals: quick_cache::sync::Cache::new(REMEMBERED_REFUSALS),
                revocations,
                flights: Flights::new(settings.queue),
                audiences,
                permits: tokio::sync::Semaphore::new(settings.concurrency),
                timeout: settings.timeout,
                clock,
                metrics,
            }),
        }
    }

    /// A token on behalf of a session.
    pub(crate) async fn for_session(
        &self,
        secret: &SessionSecret,
        audience: &str,
    ) -> Result<Grant, ExchangeError> {
        let key = self.key(Holder::Session(secret.hash()), audience);
        self.grant(key, Some(secret.clone())).await
    }

    pub(crate) async fn anonymous(&self, audience: &str) -> Result<Grant, ExchangeError> {
        let key = self.key(Holder::Anonymous, audience);
        self.grant(key, None).await
    }

    /// Another token for whoever goes on using one: the cache's, if that is another by
    /// now, and else a new one. The old one stays for those whom it is good enough.
    pub(crate) async fn next(&self, grant: &Grant) -> Result<Grant, ExchangeError> {
        let secret = grant.secret.as_ref();
        let entry = match self.cached(&grant.key, secret)? {
            Some(entry) if !Arc::ptr_eq(&entry, &grant.entry) => entry,
            _ => self.fly(&grant.key, secret).await?,
        };
        if !self.is_good(&entry)? {
            return Err(ExchangeError::Superseded);
        }
        Ok(Grant {
            entry,
            ..grant.clone()
        })
    }

    /// A service refused this token: it is not used again. Whether asking for another one is
    /// worth it: a service that refuses every token must not make every request ask.
    pub(crate) fn refused(&self, grant: &Grant) -> bool {
        let Inner {
            cache,
            refusals,
            clock,
            ..
        } = &*self.inner;
        if !cache.is_current(&grant.key, &grant.entry) {
            // Somebody has asked already.
            return true;
        }
        let now = clock.monotonic();
        let last = refusals.get(&grant.key);
        if last.is_some_and(|last| now.saturating_sub(last) < REFUSAL_PAUSE) {
            return false;
        }
        refusals.insert(grant.key.clone(), now);
        cache.drop_entry(&grant.key, &grant.entry);
        true
    }

    pub(crate) fn revocations(&self) -> &Revocations {
        &self.inner.revocations
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    /// A secret stopped being valid: its tokens are dropped, and so are those on the way.
    pub(crate) fn forget_secret(&self, hash: SecretHash) {
        for audience in &self.inner.audiences {
            let key = Key {
                holder: Holder::Session(hash),
                audience: audience.clone(),
            };
            self.inner
                .flights
                .cancel(&key, || self.inner.cache.remove(&key));
        }
    }

    /// A session ended: its tokens are not used again, whichever secret they were for. The
    /// auth service tells everybody else; this gateway need not wait for its word.
    pub(crate) fn session_ended(&self, session_id: &str) {
        self.inner.revocations.note_session_ended(session_id);
    }

    /// Some sessions may have ended and nobody can say which: the answer was lost, and
    /// asking again would name none. Every token is fetched anew.
    pub(crate) fn forget_everything(&self) {
        self.inner.flights.cancel_all(|| self.inner.cache.clear());
    }

    /// A handful of audiences, so a search is cheaper than a copy.
    fn key(&self, holder: Holder, audience: &str) -> Key {
        let known = self
            .inner
            .audiences
            .iter()
            .find(|known| ***known == *audience);
        Key {
            holder,
            audience: known.cloned().unwrap_or_else(|| audience.into()),
        }
    }

    async fn grant(&self, key: Key, secret: Option<SessionSecret>) -> Result<Grant, ExchangeError> {
        let entry = self.entry(&key, secret.as_ref()).await?;
        if entry.kind().is_some() != secret.is_some() {
            return Err(ExchangeError::BadAnswer("a token of another kind"));
        }
        Ok(Grant { key, secret, entry })
    }

    async fn entry(
        &self,
        key: &Key,
        secret: Option<&SessionSecret>,
    ) -> Result<Arc<Entry>, ExchangeError> {
        for _ in 0..ATTEMPTS {
            if let Some(entry) = self.cached(key, secret)? {
                return Ok(entry);
            }
            match self.fly(key, secret).await {
                Err(ExchangeError::Superseded) => continue,
                Err(error) => return Err(error),
                Ok(entry) => {
                    if self.is_good(&entry)? {
                        return Ok(entry);
                    }
                }
            }
        }
        Err(ExchangeError::Superseded)
    }

    /// A usable token from the cache; starts its renewal when that is due.
    fn cached(
        &self,
        key: &Key,
        secret: Option<&SessionSecret>,
    ) -> Result<Option<Arc<Entry>>, ExchangeError> {
        let inner = &self.inner;
        // Asked before anything is: a token that could not be used is not worth a question.
        if !inner.revocations.is_ready() {
            return Err(ExchangeError::RevocationsUnknown(
                RevocationError::NoSnapshot,
            ));
        }
        let (entry, renewal_is_due) = match inner.cache.find(key, inner.clock.monotonic()) {
            Found::Usable {
                entry,
                renewal_is_due,
            } => (entry, renewal_is_due),
            Found::Revoked => {
                inner.metrics.revoked.inc();
                return Ok(None);
            }
            Found::Nothing => return Ok(None),
            Found::Unknown(why) => return Err(ExchangeError::RevocationsUnknown(why)),
        };
        inner.metrics.hits.inc();
        if renewal_is_due && let Boarding::Started { flight, .. } = inner.flights.board(key) {
            inner.metrics.renewals.inc();
            self.depart(flight, key, secret);
        }
        Ok(Some(entry))
    }

    /// Whether a token that has just arrived may be used. If it was revoked on its way,
    /// asking again is right: whether the session is over is the auth service's to say,
    /// and the token of a session that lives may have been signed by a key that does not.
    fn is_good(&self, entry: &Entry) -> Result<bool, ExchangeError> {
        match self.inner.revocations.check(entry.revocation_keys()) {
            Ok(()) => Ok(true),
            Err(RevocationError::Revoked) => Ok(false),
            Err(why @ (RevocationError::NoSnapshot | RevocationError::Stale)) => {
                Err(ExchangeError::RevocationsUnknown(why))
            }
        }
    }

    /// Joins the flight for this key, or starts it.
    async fn fly(&self, key: &Key, secret: Option<&SessionSecret>) -> Landing {
        let mut arrivals = match self.inner.flights.board(key) {
            Boarding::Full => {
                self.inner.metrics.failures.inc();
                return Err(ExchangeError::Overloaded);
            }
            Boarding::Joined(arrivals) => {
                self.inner.metrics.joined.inc();
                arrivals
            }
            Boarding::Started { flight, arrivals } => {
                self.inner.metrics.misses.inc();
                self.depart(flight, key, secret);
                arrivals
            }
        };
        match arrivals.wait_for(Option::is_some).await {
            Ok(landing) => landing.clone().unwrap_or(Err(ExchangeError::Crashed)),
            // The flight's task ended without a word.
            Err(_) => Err(ExchangeError::Crashed),
        }
    }

    /// A task of its own, so that it outlives the request that started it.
    fn depart(&self, flight: flights::Flight, key: &Key, secret: Option<&SessionSecret>) {
        let (inner, key, secret) = (self.inner.clone(), key.clone(), secret.cloned());
        task::spawn(async move {
            let seat = flights::Seat::new(&inner.flights, &key, flight);
            let landing = inner.ask(&key, secret.as_ref()).await;
            if landing.is_err() {
                inner.metrics.failures.inc();
            }
            let now = inner.clock.monotonic();
            seat.land(landing.clone(), || match landing {
                Ok(entry) => inner.cache.insert(key.clone(), entry),
                Err(ExchangeError::SessionInvalid | ExchangeError::Replaced) => {
                    inner.cache.remove(&key);
                }
                // The old token stays good; ask again a little later.
                Err(_) => inner.cache.postpone_renewal(&key, now),
            });
        });
    }
}

impl Inner {
    async fn ask(&self, key: &Key, secret: Option<&SessionSecret>) -> Landing {
        let answer = tokio::time::timeout(self.timeout, async {
            let permit = self.permits.acquire().await;
            // The semaphore is never closed; an error would mean no limit, so treat it as full.
            let _permit = permit.map_err(|_| ExchangeError::Overloaded)?;
            // Before the question, so that the answer's lifetime can only be shorter.
            let asked_at = self.clock.monotonic();
            let issued = match secret {
                Some(secret) => {
                    self.source
                        .exchange(secret.clone(), key.audience.clone())
                        .await
                }
                None => self.source.anonymous(key.audience.clone()).await,
            };
            Entry::new(&issued?, asked_at, spread(key)).map(Arc::new)
        });
        answer.await.unwrap_or(Err(ExchangeError::Late))
    }
}

/// Where in the renewal window a key lies. The hash spreads sessions evenly, which is
/// what the jitter is for; it need not be unpredictable.
fn spread(key: &Key) -> u8 {
    match &key.holder {
        Holder::Anonymous => 0,
        Holder::Session(hash) => hash.as_bytes()[0],
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
