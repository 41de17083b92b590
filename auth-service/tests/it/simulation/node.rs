//! A process that follows the feed: a service with its verifier, or the gateway with its
//! tokens. Clock, follower, table and verifier are the real ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use proto::auth::v1::{WatchRequest, WatchResponse, watch_response::Event};
use token_verifier::{
    Clock as _, Expectations, FeedState, FollowOptions, FollowerHandle, Keys, ManualClock, OnStale,
    Resync, RevocationKeys, Revocations, TokenVerifier,
};

use super::database::{ISSUER, TOKEN_LIFE_S, saved_keys, true_time};
use super::schedule::{Exchange, Millis};

/// The gateway; the others are services.
pub(super) const GATEWAY: usize = 0;

pub(super) const NODES: usize = 3;

/// Without proof for so long, what a node knows is stale.
pub(super) const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(3);

/// As the gateway's cache: a token is not used in its last seconds.
const MARGIN_MS: Millis = 5_000;

/// A token in the gateway's cache.
#[derive(Debug)]
pub(super) struct Cached {
    pub(super) token: usize,
    keys: RevocationKeys,
    /// By the steady clock.
    usable_until: Duration,
}

/// Why the gateway does not use what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It has none.
    Absent,
    /// This one is revoked.
    Revoked(usize),
    /// It does not know whether this one is.
    Unavailable(usize),
}

pub(super) struct Node {
    pub(super) audience: &'static str,
    pub(super) on_stale: OnStale,
    /// Counts its starts.
    pub(super) life: u64,
    pub(super) is_paused: bool,
    pub(super) connection: Option<usize>,
    pub(super) failures: u32,
    pub(super) heard_at: Millis,
    clock: ManualClock,
    synced_at: Millis,
    clock_offset_s: i64,
    pub(super) revocations: Revocations,
    follower: FollowerHandle,
    through: u64,
    pub(super) verifier: TokenVerifier,
    cache: BTreeMap<(usize, usize), Cached>,
    /// What the referee knows and the node cannot.
    pub(super) ledger: Ledger,
}

/// What a node was really told, since it started.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// When its last opening was sent.
    pub(super) opened_at: Option<Millis>,
    /// When its last snapshot began to be sent.
    pub(super) snapshot_at: Option<Millis>,
    /// It must know all that was revoked before.
    pub(super) proof_at: Option<Millis>,
    pub(super) keys: BTreeSet<usize>,
}

impl Node {
    pub(super) fn new(audience: &'static str, on_stale: OnStale) -> Self {
        let clock = ManualClock::at(true_time(0));
        let keys = Keys::fixed(saved_keys());
        let options = FollowOptions::default()
            .on_stale(on_stale)
            .heartbeat_timeout(HEARTBEAT_TIMEOUT)
            .keys(keys.clone());
        let shared = Arc::new(clock.clone());
        let (revocations, follower) = Revocations::manual(options, shared.clone());
        let expectations = Expectations {
            issuer: ISSUER.to_owned(),
            audience: audience.to_owned(),
        };
        let verifier =
            TokenVerifier::new(expectations, keys, shared).with_revocations(revocations.clone());
        Self {
            audience,
            on_stale,
            life: 0,
            is_paused: false,
            connection: None,
            failures: 0,
            heard_at: 0,
            clock,
            synced_at: 0,
            clock_offset_s: 0,
            revocations,
            follower,
            through: 0,
            verifier,
            cache: BTreeMap::new(),
            ledger: Ledger {
                keys: BTreeSet::from([0]),
                ..Ledger::default()
            },
        }
    }

    /// Starts anew with nothing but the machine's wall clock, however wrong that is.
    pub(super) fn restart(&mut self, time: Millis) {
        let (life, offset_s) = (self.life + 1, self.clock_offset_s);
        *self = Self::new(self.audience, self.on_stale);
        self.life = life;
        self.heard_at = time;
        self.synced_at = time;
        self.clock.set(true_time(time));
        self.step_clock(offset_s);
    }

    /// Somebody sets the wall clock.
    pub(super) fn step_clock(&mut self, by_s: i64) {
        self.clock_offset_s += by_s;
        self.clock
            .set(self.clock.now() + SignedDuration::from_secs(by_s));
    }

    /// Time passes here too.
    pub(super) fn sync(&mut self, time: Millis) {
        self.clock
            .advance(Duration::from_millis(time - self.synced_at));
        self.synced_at = time;
    }

    pub(super) fn wall_us(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    pub(super) fn state(&self) -> FeedState {
        self.revocations.state()
    }

    pub(super) fn request(&mut self) -> WatchRequest {
        self.follower.request()
    }

    pub(super) fn apply(&mut self, message: WatchResponse) -> Result<(), Resync> {
        let through = match &message.event {
            Some(Event::Opening(opening)) => Some(opening.after_seq),
            Some(Event::Batch(batch)) => Some(self.through.max(batch.through_seq)),
            _ => None,
        };
        self.follower.apply(message)?;
        self.through = through.unwrap_or(self.through);
        Ok(())
    }

    pub(super) fn tick(&mut self) {
        self.follower.tick();
    }

    pub(super) fn disconnected(&mut self) {
        self.follower.disconnected();
        self.connection = None;
    }

    /// How far its stream has told the log.
    pub(super) fn through(&self) -> u64 {
        self.through
    }

    pub(super) fn is_caught_up(&self) -> bool {
        self.follower.is_caught_up()
    }

    /// The gateway's token for a session at a service, if it may be used now.
    pub(super) fn cached(&mut self, session: usize, service: usize) -> Result<usize, Unusable> {
        let key = (session, service);
        let cached = self.cache.get(&key).ok_or(Unusable::Absent)?;
        if self.clock.monotonic() >= cached.usable_until {
            self.cache.remove(&key);
            return Err(Unusable::Absent);
        }
        let token = cached.token;
        match self.revocations.check(&cached.keys) {
            Ok(()) => Ok(token),
            Err(error) if is_revoked(error) => {
                self.cache.remove(&key);
                Err(Unusable::Revoked(token))
            }
            Err(_) => Err(Unusable::Unavailable(token)),
        }
    }

    pub(super) fn forget(&mut self, session: usize, service: usize) {
        self.cache.remove(&(session, service));
    }

    /// An exchange was answered. Its life counts from the question.
    pub(super) fn keep(
        &mut self,
        exchange: &Exchange,
        token: usize,
        keys: RevocationKeys,
    ) -> Result<usize, Unusable> {
        let since = Duration::from_millis(self.synced_at - exchange.asked_at);
        let life = Duration::from_millis(TOKEN_LIFE_S as Millis * 1000 - MARGIN_MS);
        let cached = Cached {
            token,
            keys,
            usable_until: (self.clock.monotonic() + life).saturating_sub(since),
        };
        let key = (exchange.session, exchange.node);
        self.cache.insert(key, cached);
        self.cached(exchange.session, exchange.node)
    }
}

pub(super) fn is_revoked(error: token_verifier::RevocationError) -> bool {
    matches!(error, token_verifier::RevocationError::Revoked)
}
