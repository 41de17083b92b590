//! The current key set, shared by everything that verifies.
//!
//! Reading it is wait-free: a reader takes whichever set is current, and a refresh puts
//! a new one beside it and swaps the pointer. Nobody ever waits for a fetch.
//!
//! A set can come from the issuer's address and from its revocation feed. While the feed
//! is heard it knows better: an answer that was asked for before that, or comes out of a
//! copy that lags, neither takes away a key that the feed announced nor brings back one
//! that it dropped. But either may lag behind the other, so a key that only the answer has
//! is added to those that are held, until the feed announces a set again.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::VerifyError;
use crate::key_set::{JwksError, KeySet, VerifyingKey};
use crate::remote::{self, FetchError, RemoteOptions};

/// For how long after the last word from the feed its set stands against another that
/// the address answers with. Longer than any instance of the issuer lags behind
/// another, and far shorter than a key lives.
const FEED_PREVAILS: Duration = Duration::from_secs(30);

/// How many dropped names are remembered. The issuer drops one at each rotation.
const MAX_DROPPED: usize = 64;

/// The keys to verify with. Clones share them.
#[derive(Clone)]
pub struct Keys {
    shared: Arc<Shared>,
}

/// What readers and the driver of a remote set have in common.
#[derive(Default)]
pub(crate) struct Shared {
    current: ArcSwapOption<Current>,
    /// Rung when a token names a key that the current set lacks. It holds one ring,
    /// so a flood of them is as loud as one.
    pub(crate) unknown_kid: Notify,
    /// Rung when there is another set, or word that the current one still is.
    pub(crate) confirmed: Notify,
    /// How long a set outlives its last confirmation. `None`: for ever.
    max_stale: Option<Duration>,
    /// Held by whoever writes.
    feed: Mutex<FeedWord>,
}

/// What the feed has said about keys.
#[derive(Default)]
struct FeedWord {
    heard_at: Option<Instant>,
    announced: Option<Announced>,
    /// Names that the feed announced once and then no more; the oldest first. The issuer
    /// never uses a name again, so only the feed itself can take that back. What came from
    /// the address alone and is not announced may be too new for the feed, and is not here.
    dropped: VecDeque<String>,
}

/// The last set from the feed.
struct Announced {
    set: KeySet,
    at: Instant,
}

pub(crate) struct Current {
    set: KeySet,
    /// What the set was read from, if it may be saved.
    pub(crate) document: Option<Bytes>,
    pub(crate) confirmed_at: Instant,
    /// From when on the set is too old to trust. `None` for a fixed set.
    usable_until: Option<Instant>,
}

impl Keys {
    /// Keys that never change.
    #[must_use]
    pub fn fixed(set: KeySet) -> Self {
        let shared = Shared::default();
        shared.install(set, None);
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Keys from a JWKS address, and the future that fetches and refreshes them.
    ///
    /// Spawn the future; it runs until it is dropped and never fails. Until its first
    /// success every token is refused with [`VerifyError::KeysUnavailable`].
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), token_verifier::RemoteError> {
    /// use token_verifier::{Keys, RemoteOptions};
    ///
    /// let options = RemoteOptions::new("http://localhost:8081/.well-known/jwks.json")?;
    /// let (keys, driver) = Keys::remote(options);
    /// tokio::spawn(driver);
    /// # Ok(())
    /// # }
    /// ```
    pub fn remote(options: RemoteOptions) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::new(Shared::lasting(options.lifetime()));
        let driver = remote::drive(options, Arc::clone(&shared));
        (Self { shared }, driver)
    }

    /// Whether there are keys, and none too old to trust.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.is_ready()
    }

    /// Takes over the set that the issuer announces over its revocation feed, as it would
    /// one from the issuer's address.
    ///
    /// While the feed [is heard](Self::confirmed_by_feed) another set may add to this one
    /// and takes nothing away, and keys that the feed dropped stay dropped.
    ///
    /// # Errors
    ///
    /// [`JwksError`] if it is no set that we accept. Then nothing changes.
    pub fn install(&self, jwks: &[u8]) -> Result<(), JwksError> {
        let set = KeySet::from_json(jwks)?;
        self.shared
            .install_from_feed(set, Bytes::copy_from_slice(jwks));
        Ok(())
    }

    /// Notes that the feed still stands by the set it [announced](Self::install) last:
    /// that is as good as having fetched it again.
    pub fn confirmed_by_feed(&self) {
        self.shared.confirmed_by_feed();
    }

    /// The key of this name, or a ring of the bell for whoever fetches keys.
    pub(crate) fn find(&self, unverified_kid: &str) -> Result<Arc<VerifyingKey>, VerifyError> {
        let current = self.shared.current.load();
        let Some(current) = current.as_ref().filter(|current| current.is_usable()) else {
            return Err(VerifyError::KeysUnavailable);
        };
        if let Some(key) = current.set.get(unverified_kid) {
            return Ok(Arc::clone(key));
        }
        self.shared.unknown_kid.notify_one();
        Err(VerifyError::UnknownKid)
    }

    #[cfg(test)]
    pub(crate) fn sharing(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.shared.current.load();
        let set = current.as_ref().map(|current| &current.set);
        f.debug_tuple("Keys").field(&set).finish()
    }
}

impl Shared {
    /// Without keys yet; they will last for `max_stale` after each confirmation.
    pub(crate) fn lasting(max_stale: Duration) -> Self {
        Self {
            max_stale: Some(max_stale),
            ..Self::default()
        }
    }

    /// Takes over what the issuer's address answered to a request of `asked_at`. Returns
    /// what is current by that; `None` if the feed knows better.
    pub(crate) fn offer(
        &self,
        answer: &KeySet,
        document: Bytes,
        asked_at: Instant,
    ) -> Result<Option<KeySet>, FetchError> {
        let feed = self.writing();
        let set = answer.without(|kid| feed.has_dropped(kid));
        let set = match self.current().filter(|_| feed.prevails_at(asked_at)) {
            Some(held) if held.set.is_same(answer) => Some(answer.clone()),
            Some(held) => {
                tracing::info!("the issuer's address answers with other keys than its feed");
                let news = set.filter(|_| !feed.announced_since(asked_at));
                let Some(both) = news.and_then(|news| held.set.extended_by(&news)) else {
                    return Ok(None);
                };
                Some(both)
            }
            None => set,
        };
        let set = set.ok_or(FetchError::Dropped)?;
        let is_whole = set.is_same(answer);
        self.install(set.clone(), is_whole.then_some(document));
        Ok(Some(set))
    }

    /// Takes over a set that was saved `age` ago, if nothing newer has come.
    pub(crate) fn restore(&self, set: KeySet, document: Bytes, age: Duration) -> bool {
        let _writing = self.writing();
        let now = Instant::now();
        if self.current().is_some() {
            return false;
        }
        self.store(Current {
            set,
            document: Some(document),
            confirmed_at: now.checked_sub(age).unwrap_or(now),
            usable_until: self.max_stale.map(|span| now + span.saturating_sub(age)),
        });
        true
    }

    /// The address confirms `set`, which it answered with before.
    pub(crate) fn confirm(&self, set: &KeySet) {
        let _writing = self.writing();
        self.extend_if(set);
    }

    pub(crate) fn current(&self) -> Option<Arc<Current>> {
        self.current.load_full()
    }

    pub(crate) fn is_ready(&self) -> bool {
        let current = self.current.load();
        current.as_ref().is_some_and(|current| current.is_usable())
    }

    fn install_from_feed(&self, set: KeySet, document: Bytes) {
        let mut feed = self.writing();
        feed.announce(set.clone());
        self.install(set, Some(document));
    }

    fn confirmed_by_feed(&self) {
        let mut feed = self.writing();
        // Before its first set it has nothing to stand by.
        if feed.heard_at.is_some() {
            feed.heard_at = Some(Instant::now());
            // Nor can it bring back what meanwhile was too old to trust.
            if self.is_ready() {
                self.extend();
            }
        }
    }

    pub(crate) fn install(&self, set: KeySet, document: Option<Bytes>) {
        let now = Instant::now();
        self.store(Current {
            set,
            document,
            confirmed_at: now,
            usable_until: self.max_stale.map(|max_stale| now + max_stale),
        });
        self.confirmed.notify_one();
    }

    /// Confirms the current set if it has the keys of `set`.
    fn extend_if(&self, set: &KeySet) -> bool {
        let agrees = self.current().is_some_and(|held| held.set.is_same(set));
        if agrees {
            self.extend();
        }
        agrees
    }

    fn extend(&self) {
        if let Some(held) = self.current() {
            self.install(held.set.clone(), held.document.clone());
        }
    }

    fn store(&self, current: Current) {
        self.current.store(Some(Arc::new(current)));
    }

    fn writing(&self) -> MutexGuard<'_, FeedWord> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FeedWord {
    /// Whether what was asked for at this time may be older than what the feed said.
    fn prevails_at(&self, asked_at: Instant) -> bool {
        self.heard_at
            .is_some_and(|heard_at| asked_at < heard_at + FEED_PREVAILS)
    }

    /// Whether an answer to what was asked for at this time cannot have news for the feed.
    fn announced_since(&self, asked_at: Instant) -> bool {
        let announced = self.announced.as_ref();
        announced.is_some_and(|announced| asked_at < announced.at)
    }

    fn announce(&mut self, set: KeySet) {
        let at = Instant::now();
        self.heard_at = Some(at);
        self.dropped.retain(|kid| set.get(kid).is_none());
        if let Some(before) = &self.announced {
            let gone = before.set.kids().filter(|kid| set.get(kid).is_none());
            self.dropped.extend(gone.map(str::to_owned));
        }
        while self.dropped.len() > MAX_DROPPED {
            self.dropped.pop_front();
        }
        self.announced = Some(Announced { set, at });
    }

    fn has_dropped(&self, kid: &str) -> bool {
        self.dropped.iter().any(|dropped| dropped == kid)
    }
}

impl Current {
    fn is_usable(&self) -> bool {
        // Asked here and not left to the driver: should that have died, its keys
        // must still end.
        self.usable_until.is_none_or(|until| Instant::now() < until)
    }
}

#[cfg(test)]
mod tests;
