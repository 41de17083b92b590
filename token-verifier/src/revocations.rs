//! What is revoked: the auth service's revocation log, followed and answered from memory.
//!
//! A [`Follower`] makes sense of the feed's messages, a table of atomics holds what they
//! revoke, and requests look it up without a lock. The driver that [`Revocations::follow`]
//! returns keeps the follower at the feed.

mod driver;
mod entries;
mod feed;
#[cfg(test)]
pub(crate) mod fixtures;
mod follower;
mod handle;
mod issuer_clock;
mod keys;
mod message;
mod notes;
mod options;
mod resync;
mod shared;
mod subscription;
mod subscriptions;
mod table;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::clock::Clock;
use shared::Shared;
use subscriptions::Subscribers;

pub use feed::{Feed, GrpcFeed};
pub use follower::{Effects, Follower};
pub use handle::FollowerHandle;
pub use keys::RevocationKeys;
pub use message::{Revoked, Target};
pub use options::{FeedState, FollowOptions, OnStale, OnStaleError};
pub use resync::Resync;
pub use subscription::Subscription;

/// Why a token is not to be believed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// Its session, its subject's tokens, or its key was revoked.
    #[error("the token is revoked")]
    Revoked,
    /// Nothing is known yet.
    #[error("there is no snapshot of what is revoked yet")]
    NoSnapshot,
    /// The feed is silent, and [`OnStale::Refuse`] says to refuse then.
    #[error("what is known of revocations is too old")]
    Stale,
}

/// What is revoked. Clones share it. Reading takes no lock and waits for nothing.
///
/// ```no_run
/// # use std::sync::Arc;
/// # async fn example(channel: tonic::transport::Channel) {
/// use token_verifier::{FollowOptions, GrpcFeed, OnStale, Revocations, SystemClock};
///
/// let options = FollowOptions::default().on_stale(OnStale::Refuse);
/// let feed = GrpcFeed::new(channel);
/// let (revocations, driver) = Revocations::follow(feed, options, Arc::new(SystemClock));
/// tokio::spawn(driver);
/// # }
/// ```
#[derive(Clone)]
pub struct Revocations {
    shared: Arc<Shared>,
}

impl Revocations {
    /// What `feed` says is revoked, and the future that follows it.
    ///
    /// Spawn the future; it runs until it is dropped and never fails. Until the first
    /// snapshot [`check`](Self::check) says [`RevocationError::NoSnapshot`].
    pub fn follow(
        feed: impl Feed,
        options: FollowOptions,
        clock: Arc<dyn Clock>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (revocations, handle) = Self::manual(options, clock);
        (revocations, driver::drive(feed, handle))
    }

    /// What is revoked by the messages that the handle is given, for simulations.
    #[must_use]
    pub fn manual(options: FollowOptions, clock: Arc<dyn Clock>) -> (Self, FollowerHandle) {
        let shared = Arc::new(Shared::new(&options, clock));
        let handle = FollowerHandle::new(options, Arc::clone(&shared));
        (Self { shared }, handle)
    }

    /// Nothing is revoked, and that is known for ever. For tests of other things.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn none(clock: Arc<dyn Clock>) -> Self {
        let shared = Shared::new(&FollowOptions::default(), clock);
        shared.follow_for_ever();
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Whether a token is good as far as revocation goes. Three look-ups in memory: no
    /// lock, no allocation, no waiting.
    ///
    /// # Errors
    ///
    /// [`RevocationError`] if it is revoked, or if that cannot be said.
    pub fn check(&self, keys: &RevocationKeys) -> Result<(), RevocationError> {
        self.shared.check(keys)
    }

    /// Whether there has been a snapshot.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state() != FeedState::NoSnapshot
    }

    /// How much is known now.
    #[must_use]
    pub fn state(&self) -> FeedState {
        self.shared.state()
    }

    /// A receiver of the state whenever it changes.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<FeedState> {
        self.shared.changed()
    }

    /// The time by the auth service's clock, once the feed has said it. It goes on by our
    /// monotonic clock, so whoever sets this machine's clock changes nothing about it.
    #[must_use]
    pub fn issuer_now(&self) -> Option<Timestamp> {
        self.shared.issuer_now()
    }

    /// How many revocations are in force.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.live()
    }

    /// Whether nothing is revoked, as far as is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much memory they take.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.shared.memory_bytes()
    }

    /// Revokes a session here and at once: for who ended it themselves and need not wait
    /// for the feed to say so.
    pub fn note_session_ended(&self, session_id: &str) {
        self.shared.note_session_ended(session_id);
    }

    /// Waits for one token to be revoked.
    #[must_use]
    pub fn subscribe(&self, keys: RevocationKeys) -> Subscription {
        Subscription::new(self.clone(), keys)
    }

    fn subscribers(&self) -> &Subscribers {
        &self.shared.subscribers
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("state", &self.state())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
