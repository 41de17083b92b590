//! A follower and what it writes to, moved by hand.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use proto::auth::v1::{WatchRequest, WatchResponse};

use super::follower::{Effects, Follower};
use super::options::{FeedState, FollowOptions};
use super::resync::Resync;
use super::shared::Shared;
use crate::JwksError;

/// Feeds a [`Revocations`](crate::Revocations) one message at a time. What the driver does
/// on its own, a simulation does through this.
pub struct FollowerHandle {
    follower: Follower,
    shared: Arc<Shared>,
    options: FollowOptions,
    /// Whether this stream announced the keys that are installed. What the one before said
    /// may have changed since.
    stands_by_keys: bool,
    /// The hash of the last announcement that was refused, which is complained of once.
    refused_keys: Option<[u8; 32]>,
}

impl FollowerHandle {
    pub(super) fn new(options: FollowOptions, shared: Arc<Shared>) -> Self {
        Self {
            follower: Follower::new(options.heartbeat_timeout),
            shared,
            options,
            stands_by_keys: false,
            refused_keys: None,
        }
    }

    /// What to ask for now. The stream that was is over.
    pub fn request(&mut self) -> WatchRequest {
        self.stands_by_keys = false;
        self.shared.drop_aside();
        self.follower.request(self.shared.monotonic())
    }

    /// Takes in the next message of the stream. Readers see what it says when this returns.
    ///
    /// # Errors
    ///
    /// [`Resync`] if the stream is to be given up: ask anew. The message has changed nothing.
    pub fn apply(&mut self, response: WatchResponse) -> Result<(), Resync> {
        let now = self.shared.monotonic();
        let is_collecting = self.follower.is_collecting();
        let room = self.shared.room(is_collecting, self.options.max_entries);
        let mut effects = self.follower.apply(response, now, room)?;
        if let Some(jwks) = effects.key_set.take() {
            self.install_keys(&jwks);
        }
        self.shared.apply(&effects);
        if effects.seen_at.is_some() {
            self.confirm_keys();
        }
        if !is_collecting && !effects.snapshot_ends {
            self.report_propagation(&effects);
        }
        self.announce_state();
        Ok(())
    }

    /// The stream is over.
    pub fn disconnected(&mut self) {
        self.stands_by_keys = false;
        self.follower.disconnected();
        self.shared.drop_aside();
        self.announce_state();
    }

    /// Lets time have its effects. To be called a few times within each heartbeat timeout.
    pub fn tick(&mut self) {
        self.shared.expire();
        self.announce_state();
    }

    /// Whether the stream has brought all that it promised at its opening.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.follower.is_caught_up()
    }

    /// How far it has told the log.
    pub(super) fn through(&self) -> Option<u64> {
        self.follower.through()
    }

    pub(super) fn heartbeat_timeout(&self) -> Duration {
        self.options.heartbeat_timeout
    }

    pub(super) fn report_resync(&self, resync: &Resync) {
        if let Some(hook) = &self.options.on_resync {
            hook(resync.reason());
        }
    }

    /// Keys that are none do not end the stream: what is revoked counts all the same, and
    /// the next stream would bring the same keys.
    fn install_keys(&mut self, jwks: &[u8]) {
        let Some(keys) = &self.options.keys else {
            return;
        };
        let installed = keys.install(jwks);
        self.stands_by_keys = installed.is_ok();
        if let Err(error) = &installed {
            self.warn_once(jwks, error);
        }
        if let Some(hook) = &self.options.on_key_set {
            hook(installed.as_ref().copied());
        }
    }

    fn warn_once(&mut self, jwks: &[u8], error: &JwksError) {
        let hash = digest(&SHA256, jwks).as_ref().try_into().ok();
        if self.refused_keys != hash {
            self.refused_keys = hash;
            let cause = std::error::Error::source(error);
            tracing::warn!(cause, "the revocation feed's keys are refused: {error}");
        }
    }

    /// Nothing is missing, so no other keys have been announced either.
    fn confirm_keys(&self) {
        if let Some(keys) = self.options.keys.as_ref().filter(|_| self.stands_by_keys) {
            keys.confirmed_by_feed();
        }
    }

    fn report_propagation(&self, effects: &Effects) {
        let (Some(hook), Some(now)) = (&self.options.on_applied, self.shared.issuer_now()) else {
            return;
        };
        for revoked in &effects.revoked {
            let us = now.as_microsecond().saturating_sub(revoked.revoked_at_us);
            hook(Duration::from_micros(u64::try_from(us).unwrap_or_default()));
        }
    }

    fn announce_state(&self) {
        let Some(state) = self.shared.announce_state() else {
            return;
        };
        match state {
            FeedState::Following => tracing::info!("following the revocation feed"),
            FeedState::NoSnapshot | FeedState::Stale => {
                tracing::warn!(state = state.as_str(), "the revocation feed is silent");
            }
        }
        if let Some(hook) = &self.options.on_state {
            hook(state);
        }
    }
}

impl fmt::Debug for FollowerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowerHandle")
            .field("follower", &self.follower)
            .finish_non_exhaustive()
    }
}
