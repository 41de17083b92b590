//! One task that reads the log as it grows and tells all watchers, each message encoded
//! once. A watcher that does not keep up falls out of the ring; nobody waits for it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use chassis::readiness::Gate;
use token_verifier::Clock;
use tokio::sync::{Semaphore, broadcast};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::stream::{self, WatchStream};
use super::{Batch, Resume, RevocationTarget, Tail, wire};
use crate::metrics::AuthMetrics;
use crate::signing_keys::SharedSigningKeys;
use crate::store::{RevocationLog, StoreError};

/// How soon what another program appended is seen: one that shares the database and has
/// no other way to tell.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Messages that a watcher may lag behind before it is dropped: with a batch a millisecond
/// half a second, in memory that all watchers share.
const RING: usize = 512;
/// Entries in one batch of the tail: with [`RING`] of them a watcher that lags keeps some
/// 60 MiB alive at the worst.
const TAIL_BATCH: u32 = 1024;
/// Watchers that read from the store at once. The rest wait: after a restart a thousand of
/// them come back together, and the store must answer exchanges meanwhile.
const CATCH_UPS: usize = 2;

/// What [`Hub`] works with.
pub(crate) struct HubParts {
    pub(crate) log: Arc<dyn RevocationLog>,
    pub(crate) keys: SharedSigningKeys,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: AuthMetrics,
    /// Ends all streams.
    pub(crate) stop: CancellationToken,
}

/// Where watchers come to. Cheap to clone; clones are the same hub.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Shared>);

pub(super) struct Shared {
    pub(super) parts: HubParts,
    pub(super) ring: broadcast::Sender<Arc<Published>>,
    pub(super) catch_ups: Semaphore,
    /// The JWKS as it is published, encoded.
    pub(super) key_set: ArcSwap<Bytes>,
    started: Instant,
}

/// A message for everybody.
pub(super) struct Published {
    pub(super) news: News,
    pub(super) encoded: Bytes,
    pub(super) at: Instant,
}

pub(super) enum News {
    Batch(Batch),
    Heartbeat(u64),
    /// What it is stands in [`Shared::key_set`], where it is never older than elsewhere.
    KeySet,
    /// The log is another one, or an older state of the same.
    Replaced,
}

impl Hub {
    /// A hub whose task is not running yet.
    pub(crate) fn new(parts: HubParts) -> Self {
        let key_set = wire::key_set(parts.keys.current().jwks().body());
        Self(Arc::new(Shared {
            parts,
            ring: broadcast::Sender::new(RING),
            catch_ups: Semaphore::new(CATCH_UPS),
            key_set: ArcSwap::from_pointee(key_set),
            started: Instant::now(),
        }))
    }

    /// Follows the log for one watcher.
    pub(crate) async fn watch(&self, resume: Resume) -> Result<WatchStream, StoreError> {
        stream::open(Arc::clone(&self.0), resume).await
    }

    /// Runs until it is dropped; `gate` is open while the log can be read. Without it nobody
    /// is told of a revocation: should it panic, the service must stop.
    pub(crate) async fn run(self, gate: Gate) {
        self.0.follow(gate).await;
    }
}

/// Why a round is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// Something was appended.
    Appended,
    /// It is time to look.
    Tick,
}

impl Shared {
    async fn follow(&self, gate: Gate) {
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut keys = self.parts.keys.changed();
        let mut tail = None;
        let mut is_readable = true;
        loop {
            let reason = tokio::select! {
                () = self.parts.log.appended() => Reason::Appended,
                // The sender lives in the parts.
                _ = keys.changed() => Reason::Tick,
                _ = ticks.tick() => Reason::Tick,
            };
            if reason == Reason::Tick {
                self.tell_keys();
            }
            let round = self.round(&mut tail, reason).await;
            gate.set(round.is_ok());
            report(&mut is_readable, round);
        }
    }

    /// Right after an append there is something to read; asking for the head first would
    /// only cost time.
    async fn round(&self, tail: &mut Option<Tail>, reason: Reason) -> Result<(), StoreError> {
        if let (Some(tail), Reason::Appended) = (&mut *tail, reason) {
            while self.read(tail, tail.seq()).await? {}
            return Ok(());
        }
        let now = self.parts.clock.now();
        let head = self.parts.log.head().await?;
        if tail.as_ref().is_some_and(|tail| !tail.is_of(&head)) {
            tracing::error!(
                log.id = %head.log_id,
                log.head = head.seq,
                "the revocation log was replaced by another one or an older state"
            );
            self.publish(News::Replaced, Bytes::new());
            *tail = None;
        }
        let tail = tail.get_or_insert_with(|| Tail::new(head.clone()));
        while tail.is_behind(&head) {
            self.read(tail, head.seq).await?;
        }
        if let Some(head_seq) = tail.heartbeat(&head, self.started.elapsed()) {
            self.publish(News::Heartbeat(head_seq), wire::heartbeat(head_seq, now));
        }
        Ok(())
    }

    /// Tells what was read. True: there may be more.
    async fn read(&self, tail: &mut Tail, known_head: u64) -> Result<bool, StoreError> {
        let entries = self.parts.log.read_after(tail.seq(), TAIL_BATCH).await?;
        for entry in &entries {
            self.parts.metrics.revocation_appended(entry.target.kind());
            // Perhaps another instance's doing: nothing may be signed with it any more.
            if matches!(entry.target, RevocationTarget::Key(_)) {
                self.parts.keys.read_again();
            }
        }
        let is_full = entries.len() >= TAIL_BATCH as usize;
        if let Some(batch) = tail.read(known_head, entries, TAIL_BATCH) {
            let encoded = wire::batch(&batch);
            self.publish(News::Batch(batch), encoded);
        }
        Ok(is_full)
    }

    fn tell_keys(&self) {
        let key_set = wire::key_set(self.parts.keys.current().jwks().body());
        if **self.key_set.load() != key_set {
            self.key_set.store(Arc::new(key_set));
            self.publish(News::KeySet, Bytes::new());
        }
    }

    fn publish(&self, news: News, encoded: Bytes) {
        let at = Instant::now();
        // It fails if nobody watches.
        let _ = self.ring.send(Arc::new(Published { news, encoded, at }));
    }
}

/// Once when it begins and once when it is over.
fn report(is_readable: &mut bool, round: Result<(), StoreError>) {
    match round {
        Ok(()) if !*is_readable => tracing::info!("the revocation log can be read again"),
        Err(error) if *is_readable => tracing::error!(
            error = &error as &dyn std::error::Error,
            "the revocation log cannot be read: watchers get no heartbeat"
        ),
        _ => return,
    }
    *is_readable = !*is_readable;
}

#[cfg(test)]
mod tests;
