//! The current keys, as everybody in the process shares them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::{SigningKey, SigningKeys};

/// The current [`SigningKeys`], read without waiting and replaced at once.
#[derive(Clone, Debug)]
pub struct SharedSigningKeys {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    keys: ArcSwap<SigningKeys>,
    changed: watch::Sender<()>,
    stale: Notify,
    began: Instant,
    /// Milliseconds from `began` to the last time that the store had these keys.
    confirmed_ms: AtomicU64,
    good_for: Duration,
}

impl SharedSigningKeys {
    /// Starts with these, which nothing has to confirm.
    pub fn new(keys: SigningKeys) -> Self {
        Self::good_for(keys, Duration::MAX)
    }

    /// Starts with these. They sign for this long after the store had them last: later,
    /// another instance may have retired and deleted the key.
    pub fn good_for(keys: SigningKeys, good_for: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                keys: ArcSwap::from_pointee(keys),
                changed: watch::Sender::new(()),
                stale: Notify::new(),
                began: Instant::now(),
                confirmed_ms: AtomicU64::new(0),
                good_for,
            }),
        }
    }

    /// The keys of this moment.
    pub fn current(&self) -> Arc<SigningKeys> {
        self.shared.keys.load_full()
    }

    /// The key that signs at this moment. None: this process has no key that it may use.
    pub fn signer(&self) -> Option<Arc<SigningKey>> {
        let confirmed = Duration::from_millis(self.shared.confirmed_ms.load(Ordering::Acquire));
        let since = self.shared.began.elapsed().saturating_sub(confirmed);
        if since > self.shared.good_for {
            return None;
        }
        self.shared.keys.load().signer().cloned()
    }

    /// This moment, to be told to [`Self::confirm`].
    pub(super) fn moment(&self) -> Duration {
        self.shared.began.elapsed()
    }

    /// The store had these keys when it was asked, at this moment.
    pub(super) fn confirm(&self, asked_at: Duration) {
        let asked_ms = u64::try_from(asked_at.as_millis()).unwrap_or(u64::MAX);
        self.shared
            .confirmed_ms
            .fetch_max(asked_ms, Ordering::AcqRel);
    }

    /// Puts other keys in their place. Who read before goes on with what they read.
    pub fn replace(&self, keys: SigningKeys) {
        self.shared.keys.store(Arc::new(keys));
        self.shared.changed.send_replace(());
    }

    /// This key is revoked: it signs no more, whatever the next reading brings.
    pub(super) fn drop_signer(&self, kid: &str) {
        let current = self.current();
        if current.signer().is_some_and(|key| key.kid() == kid) {
            self.replace(current.without_signer());
        }
    }

    /// The stored keys are others than these, somebody heard: they are to be read at once.
    pub(crate) fn read_again(&self) {
        self.shared.stale.notify_one();
    }

    /// Waits for [`Self::read_again`].
    pub(crate) async fn stale(&self) {
        self.shared.stale.notified().await;
    }

    /// Tells whenever keys were replaced, so that the published ones can be announced.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.shared.changed.subscribe()
    }
}
