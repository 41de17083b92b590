//! How to follow the feed, and what state that is in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{JwksError, Keys};

/// Three heartbeats: one may be late and one lost before anybody worries.
const DEFAULT_HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(3);

/// Shorter than that, one lost packet makes the state flap: heartbeats come each second.
const LEAST_HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(2);

/// Sixteen million revocations within six minutes are an attack or a mistake, and up to
/// three quarters of a gigabyte; twice that while a snapshot of as many is collected.
const DEFAULT_MAX_ENTRIES: usize = 16_000_000;

/// What to answer while the feed is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStale {
    /// From what is known: a session that is revoked meanwhile is served until its token
    /// expires.
    #[default]
    UntilExpiry,
    /// Nothing: every token is refused as
    /// [`RevocationsUnavailable`](crate::VerifyError::RevocationsUnavailable).
    Refuse,
}

/// Neither `until_expiry` nor `refuse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be \"until_expiry\" or \"refuse\"")]
pub struct OnStaleError;

impl FromStr for OnStale {
    type Err = OnStaleError;

    fn from_str(text: &str) -> Result<Self, OnStaleError> {
        match text {
            "until_expiry" => Ok(Self::UntilExpiry),
            "refuse" => Ok(Self::Refuse),
            _ => Err(OnStaleError),
        }
    }
}

impl fmt::Display for OnStale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UntilExpiry => "until_expiry",
            Self::Refuse => "refuse",
        })
    }
}

/// How much a follower knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FeedState {
    /// Nothing yet: no token can be judged.
    NoSnapshot,
    /// Everything that was revoked until a moment ago.
    Following,
    /// Everything that was revoked until the feed fell silent.
    Stale,
}

impl FeedState {
    /// All of them, for metrics that want their labels before the first change.
    pub const ALL: [Self; 3] = [Self::NoSnapshot, Self::Following, Self::Stale];

    /// The stable word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSnapshot => "no_snapshot",
            Self::Following => "following",
            Self::Stale => "stale",
        }
    }
}

impl fmt::Display for FeedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

type AppliedHook = Arc<dyn Fn(Duration) + Send + Sync>;
type StateHook = Arc<dyn Fn(FeedState) + Send + Sync>;
type KeySetHook = Arc<dyn Fn(Result<(), &JwksError>) + Send + Sync>;
type ResyncHook = Arc<dyn Fn(&'static str) + Send + Sync>;

/// How to follow the feed. The hooks are for metrics: they should count and return.
#[derive(Clone)]
pub struct FollowOptions {
    pub(crate) on_stale: OnStale,
    pub(crate) heartbeat_timeout: Duration,
    pub(crate) max_entries: usize,
    pub(crate) keys: Option<Keys>,
    pub(crate) on_applied: Option<AppliedHook>,
    pub(crate) on_state: Option<StateHook>,
    pub(crate) on_resync: Option<ResyncHook>,
    pub(crate) on_key_set: Option<KeySetHook>,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self {
            on_stale: OnStale::default(),
            heartbeat_timeout: DEFAULT_HEARTBEAT_TIMEOUT,
            max_entries: DEFAULT_MAX_ENTRIES,
            keys: None,
            on_applied: None,
            on_state: None,
            on_resync: None,
            on_key_set: None,
        }
    }
}

impl FollowOptions {
    /// What to answer while the feed is silent. Default: [`OnStale::UntilExpiry`].
    #[must_use]
    pub fn on_stale(mut self, on_stale: OnStale) -> Self {
        self.on_stale = on_stale;
        self
    }

    /// After how long without proof that nothing is missing the state is
    /// [`FeedState::Stale`]. Default: 3 s, which is three heartbeats; at least 2 s.
    #[must_use]
    pub fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.heartbeat_timeout = timeout.max(LEAST_HEARTBEAT_TIMEOUT);
        self
    }

    /// How many live revocations to hold in memory, at under 64 bytes each. A feed that has
    /// more is not believed. Default: 16 million.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// Where to install the keys that the feed announces. Default: nowhere.
    ///
    /// Keys that are none change nothing, with a line in the log: those that are held stay
    /// for as long as they would without the feed, and revocations are followed on.
    #[must_use]
    pub fn keys(mut self, keys: Keys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Called for each revocation that takes effect as it happens, with the time since it
    /// was committed at the auth service, by the auth service's clock.
    #[must_use]
    pub fn on_applied(mut self, hook: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        self.on_applied = Some(Arc::new(hook));
        self
    }

    /// Called with each new state.
    #[must_use]
    pub fn on_state(mut self, hook: impl Fn(FeedState) + Send + Sync + 'static) -> Self {
        self.on_state = Some(Arc::new(hook));
        self
    }

    /// Called whenever a stream of the feed ended or was given up, with one of
    /// [`Resync::REASONS`](crate::Resync::REASONS).
    #[must_use]
    pub fn on_resync(mut self, hook: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        self.on_resync = Some(Arc::new(hook));
        self
    }

    /// Called for each set of keys that the feed announces, with what became of it, if there
    /// is somewhere to [install](Self::keys) it.
    #[must_use]
    pub fn on_key_set(
        mut self,
        hook: impl Fn(Result<(), &JwksError>) + Send + Sync + 'static,
    ) -> Self {
        self.on_key_set = Some(Arc::new(hook));
        self
    }
}

impl fmt::Debug for FollowOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowOptions")
            .field("on_stale", &self.on_stale)
            .field("heartbeat_timeout", &self.heartbeat_timeout)
            .field("max_entries", &self.max_entries)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
