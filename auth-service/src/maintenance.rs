//! What goes on beside the calls: expired rows are dropped, and readiness follows
//! the database.

use std::sync::Arc;
use std::time::Duration;

use chassis::readiness::Gate;
use jiff::{SignedDuration, Timestamp};
use token_verifier::Clock;
use tokio::time::MissedTickBehavior;

use crate::limits::Limits;
use crate::metrics::AuthMetrics;
use crate::sessions::{PURGE_BATCH, Sessions};
use crate::store::{RevocationLog, SigningKeyStore, StoreError};

/// How soon a database that is away, or back, shows in `/readyz`.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// Expired rows are refused whether or not they are still there, so there is no hurry.
const PURGE_EVERY: u32 = 12;
/// How far the clock moves before that is written down. Entries of the revocation log are
/// kept for almost a minute more than any token needs.
const NOTE_TIME_EVERY: SignedDuration = SignedDuration::from_secs(30);
/// Batches of each kind in one round: what is left waits for the next, so that a
/// backlog never keeps the writer from everybody else.
const MAX_BATCHES: u32 = 100;

/// What maintenance works with.
pub(crate) struct Maintenance {
    pub(crate) sessions: Sessions,
    pub(crate) limits: Limits,
    pub(crate) log: Arc<dyn RevocationLog>,
    pub(crate) keys: Arc<dyn SigningKeyStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: AuthMetrics,
}

/// Runs until it is dropped.
pub(crate) async fn run(maintenance: Maintenance, database: Gate) {
    maintenance.rounds(database).await;
}

impl Maintenance {
    async fn rounds(&self, database: Gate) {
        let mut ticks = tokio::time::interval(PROBE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let started = Started::now(&*self.clock);
        let mut noted = None;
        for round in (0..PURGE_EVERY).cycle() {
            ticks.tick().await;
            let reachable = self.probe().await;
            database.set(reachable);
            self.note_time(&mut noted).await;
            if reachable && round == 0 {
                self.purge(started).await;
            }
        }
    }

    /// Soon after the clock went ahead, and rarely otherwise.
    async fn note_time(&self, noted: &mut Option<Timestamp>) {
        let now = self.clock.now();
        if noted.is_some_and(|noted| now.duration_since(noted) < NOTE_TIME_EVERY) {
            return;
        }
        match self.log.note_time(now).await {
            Ok(()) => *noted = Some(now),
            Err(error) => report_time(&error),
        }
    }

    /// A read that any call could make.
    async fn probe(&self) -> bool {
        match self.keys.load_all().await {
            Ok(_) => true,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the database is away"
                );
                false
            }
        }
    }

    async fn purge(&self, started: Started) {
        if let Err(error) = self.purge_sessions().await {
            report("sessions", &error);
        }
        if let Err(error) = self.purge_limits().await {
            report("limits", &error);
        }
        if let Err(error) = self.purge_revocations(started).await {
            report("revocations", &error);
        }
    }

    async fn purge_sessions(&self) -> Result<(), StoreError> {
        for _ in 0..MAX_BATCHES {
            let ended = self.sessions.purge().await?.len();
            self.metrics.purged("session", ended as u64);
            if ended < PURGE_BATCH as usize {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn purge_revocations(&self, started: Started) -> Result<(), StoreError> {
        let now = started.cautious_now(&*self.clock);
        for _ in 0..MAX_BATCHES {
            let dropped = self.log.drop_expired_revocations(now, PURGE_BATCH).await?;
            self.metrics.purged("revocation", dropped);
            if dropped < u64::from(PURGE_BATCH) {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn purge_limits(&self) -> Result<(), StoreError> {
        for _ in 0..MAX_BATCHES {
            let dropped = self.limits.purge(self.clock.now(), PURGE_BATCH).await?;
            self.metrics.purged("limit", dropped);
            if dropped < u64::from(PURGE_BATCH) {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// When this program started, by both clocks.
#[derive(Clone, Copy)]
struct Started {
    at: Timestamp,
    monotonic: Duration,
}

impl Started {
    fn now(clock: &dyn Clock) -> Self {
        Self {
            at: clock.now(),
            monotonic: clock.monotonic(),
        }
    }

    /// The earlier of what the clock says and what it would say had nobody set it since:
    /// if it is an hour ahead for a while, nothing is dropped that the right time needs.
    fn cautious_now(self, clock: &dyn Clock) -> Timestamp {
        let elapsed = clock.monotonic().saturating_sub(self.monotonic);
        let steady = SignedDuration::try_from(elapsed)
            .ok()
            .and_then(|elapsed| self.at.checked_add(elapsed).ok());
        let now = clock.now();
        steady.map_or(now, |steady| steady.min(now))
    }
}

fn report_time(error: &StoreError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "the time was not noted; the next round tries again"
    );
}

fn report(what: &str, error: &StoreError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "expired {what} were not dropped; the next round tries again"
    );
}

#[cfg(test)]
mod tests;
