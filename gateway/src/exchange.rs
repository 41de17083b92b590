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
//! What ends a session here ([`Exchange::forget_secret`], [`Exchange::session_ended`])
//! also ends the flights in the air for it: a token asked for before a logout is
//! neither cached nor used after it. Errors are never cached.

mod cache;
mod flights;
mod metrics;
mod source;

use std::{sync::Arc, time::Duration};

use chassis::Clock;
use http::HeaderValue;

use self::{
    cache::{Cache, Entry},
    flights::{Boarding, Flights, Landing},
};
pub(crate) use self::{
    metrics::ExchangeMetrics,
    source::{Issued, IssuedSession, TokenSource},
};
use crate::{
    credential::{SecretHash, SessionSecret},
    task,
};

/// How often a request asks again because the session it asked for was changed
/// meanwhile. Twice is already a strange client.
const ATTEMPTS: usize = 3;

/// An access token for one audience, ready to be sent to that service.
///
/// It is never shown to a client: `Debug` prints nothing of it.
#[derive(Clone)]
pub(crate) struct UpstreamToken {
    header: HeaderValue,
}

impl UpstreamToken {
    fn new(access_token: &str) -> Option<Self> {
        let mut header = HeaderValue::try_from(format!("Bearer {access_token}")).ok()?;
        header.set_sensitive(true);
        Some(Self { header })
    }

    /// The `authorization` value, marked sensitive.
    pub(crate) fn header_value(&self) -> &HeaderValue {
        &self.header
    }

    #[cfg(test)]
    pub(crate) fn for_tests(token: &str) -> Self {
        Self::new(token).expect("tests use tokens that fit a header")
    }
}

impl std::fmt::Debug for UpstreamToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UpstreamToken(..)")
    }
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionKind {
    /// Nobody has signed in.
    Guest,
    /// A person.
    User,
}

/// A live session's token.
#[derive(Clone, Debug)]
pub(crate) struct SessionToken {
    pub(crate) token: UpstreamToken,
    pub(crate) kind: SessionKind,
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

/// Why there is no token. Cloned to everybody who shared the flight.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// The auth service says so; nothing else may.
    #[error("the session is unknown, expired or ended")]
    SessionInvalid,
    /// A sign-in or a password change gave the session another secret. Whoever asks was
    /// under way meanwhile, and its browser has a better cookie by now.
    #[error("the session has another secret by now")]
    Replaced,
    #[error("the auth service is away")]
    Away(#[source] Arc<tonic::Status>),
    #[error("the auth service did not answer in time")]
    Late,
    #[error("too many exchanges are under way")]
    Overloaded,
    /// Our own credential or settings are wrong, not the client's.
    #[error("the auth service refused this gateway")]
    Refused(#[source] Arc<tonic::Status>),
    #[error("the auth service's answer makes no sense: {0}")]
    BadAnswer(&'static str),
    /// The session changed while its token was on the way. Asking again is right.
    #[error("the session changed while its token was on the way")]
    Superseded,
    #[error("the exchange came to a sudden end")]
    Crashed,
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
        clock: Arc<dyn Clock>,
        metrics: ExchangeMetrics,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                source,
                cache: Cache::new(settings.cached_tokens),
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
    ) -> Result<SessionToken, ExchangeError> {
        let key = self.key(Holder::Session(secret.hash()), audience);
        let entry = self.entry(key, Some(secret)).await?;
        let kind = entry
            .kind()
            .ok_or(ExchangeError::BadAnswer("a session's token has no kind"))?;
        Ok(SessionToken {
            token: entry.token().clone(),
            kind,
        })
    }

    /// A token for somebody without a session.
    pub(crate) async fn anonymous(&self, audience: &str) -> Result<UpstreamToken, ExchangeError> {
        let key = self.key(Holder::Anonymous, audience);
        Ok(self.entry(key, None).await?.token().clone())
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

    /// A session ended: its tokens are not used again, whichever secret they were for.
    pub(crate) fn session_ended(&self, session_id: &str) {
        let forgotten = self
            .inner
            .cache
            .session_ended(session_id, self.inner.clock.now());
        if forgotten {
            // Too many ended at once to remember each: forget everybody's tokens instead.
            self.forget_everything();
        }
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

    async fn entry(
        &self,
        key: Key,
        secret: Option<&SessionSecret>,
    ) -> Result<Arc<Entry>, ExchangeError> {
        for _ in 0..ATTEMPTS {
            if let Some(entry) = self.cached(&key, secret) {
                return Ok(entry);
            }
            match self.fly(&key, secret).await {
                Err(ExchangeError::Superseded) => {}
                Ok(entry) if self.inner.cache.has_ended(&entry) => {
                    return Err(ExchangeError::SessionInvalid);
                }
                outcome => return outcome,
            }
        }
        Err(ExchangeError::Superseded)
    }

    /// A usable token from the cache; starts its renewal when that is due.
    fn cached(&self, key: &Key, secret: Option<&SessionSecret>) -> Option<Arc<Entry>> {
        let now = self.inner.clock.now();
        let entry = self.inner.cache.get(key, now)?;
        self.inner.metrics.hits.inc();
        if entry.renewal_is_due(now)
            && let Boarding::Started { flight, .. } = self.inner.flights.board(key)
        {
            self.inner.metrics.renewals.inc();
            self.depart(flight, key, secret);
        }
        Some(entry)
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
            let now = inner.clock.now();
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
            let asked_at = self.clock.now();
            let issued = match secret {
                Some(secret) => {
                    self.source
                        .exchange(secret.clone(), key.audience.clone())
                        .await
                }
                None => self.source.anonymous(key.audience.clone()).await,
            };
            Entry::new(issued?, asked_at, spread(key)).map(Arc::new)
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
mod tests;
