//! Who looks after the keys: reads the rows, takes the planned steps, and puts what
//! changed into the hands of those who sign and publish.
//!
//! Every instance runs one; the store lets each step happen once.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chassis::readiness::Gate;
use jiff::Timestamp;
use thiserror::Error;
use token_verifier::Clock;
use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use super::rotation::{
    KeyAge, MAX_PUBLISHED, Schedule, Sightings, Step, is_full, next_change_in, plan,
};
use super::{KeyMetrics, SharedSigningKeys, SigningKey, SigningKeyError, open};
use crate::key_encryption::KeyRing;
use crate::store::{KeyRevoked, SigningKeyRecord, SigningKeyState, SigningKeyStore, StoreError};

/// Another instance gets in between a read and a write so often at most.
const MAX_TRIES: u32 = 5;

/// Looks after the signing keys. Cheap to clone; clones are the same keeper.
#[derive(Clone)]
pub struct Keeper {
    parts: Arc<KeeperParts>,
    /// Held over every read and what follows from it, so that an older reading never
    /// takes the place of a newer one.
    sightings: Arc<Mutex<Sightings>>,
    /// What was last said to stop the schedule.
    stopped: Arc<std::sync::Mutex<Option<Stopped>>>,
}

/// What stops the schedule until an operator does something, or another instance.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stopped {
    /// There are as many keys as verifiers hold.
    Full,
    /// The key that is to sign next cannot be used here.
    Unusable(String),
}

/// What became of the wish for another key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The key that signs next.
    pub upcoming: KeyStatus,
    /// Whether it was published for this wish; otherwise it was there already.
    pub is_new: bool,
}

/// What a [`Keeper`] works with.
pub struct KeeperParts {
    /// Where the keys are.
    pub store: Arc<dyn SigningKeyStore>,
    /// What others sign with and publish.
    pub keys: SharedSigningKeys,
    /// What private keys rest under.
    pub key_ring: KeyRing,
    /// When a key goes into its next state.
    pub schedule: Schedule,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What a dashboard sees.
    pub metrics: KeyMetrics,
}

/// A key as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// What the store has.
    pub record: SigningKeyRecord,
    /// When it goes into its next state, as far as the schedule knows.
    pub next_change_at: Option<Timestamp>,
}

/// Why a command was not carried out.
#[derive(Debug, Error)]
pub enum KeeperError {
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No key can be made, or the stored ones cannot be used.
    #[error(transparent)]
    Keys(#[from] SigningKeyError),
    /// As many keys as verifiers can hold are published.
    #[error("{MAX_PUBLISHED} signing keys are published already; wait for one to be deleted")]
    TooMany,
    /// There is no such key.
    #[error("there is no signing key {kid}")]
    NotFound {
        /// Which.
        kid: String,
    },
    /// Other instances changed the keys at every try.
    #[error("other instances keep changing the signing keys")]
    Contended,
}

impl Keeper {
    /// Puts the parts together.
    pub fn new(parts: KeeperParts) -> Self {
        Self {
            parts: Arc::new(parts),
            sightings: Arc::default(),
            stopped: Arc::default(),
        }
    }

    /// All keys, oldest first.
    pub async fn list(&self) -> Result<Vec<KeyStatus>, KeeperError> {
        let mut sightings = self.sightings.lock().await;
        let records = self.read(&mut sightings).await?;
        Ok(self.statuses(&records, &sightings))
    }

    /// Publishes the key that signs next, unless there is one already, and returns it.
    /// It begins to sign when it has been published for long enough.
    pub async fn rotate(&self) -> Result<Rotated, KeeperError> {
        let mut sightings = self.sightings.lock().await;
        let mut is_new = false;
        for _ in 0..MAX_TRIES {
            let records = self.read(&mut sightings).await?;
            let statuses = self.statuses(&records, &sightings);
            let upcoming = |it: &KeyStatus| it.record.state == SigningKeyState::Upcoming;
            if let Some(upcoming) = statuses.into_iter().find(upcoming) {
                return Ok(Rotated { upcoming, is_new });
            }
            if records.len() >= MAX_PUBLISHED {
                return Err(KeeperError::TooMany);
            }
            let active = super::active_of(&records)?.kid.clone();
            is_new = self.publish(&active).await?;
        }
        Err(KeeperError::Contended)
    }

    /// Drops a key that somebody else may hold. Another signs at once, verifiers hear of
    /// it over the revocation feed, and the one that signs from now on is returned.
    pub async fn revoke(&self, kid: &str) -> Result<KeyStatus, KeeperError> {
        let mut sightings = self.sightings.lock().await;
        let parts = &self.parts;
        let now = parts.clock.now();
        let (_, replacement) = SigningKey::generate(&parts.key_ring, SigningKeyState::Active, now)?;
        match parts.store.revoke_key(kid, &replacement, now).await? {
            KeyRevoked::NotFound => Err(KeeperError::NotFound {
                kid: kid.to_owned(),
            }),
            KeyRevoked::Done { active } => {
                parts.keys.drop_signer(kid);
                audit("key.revoked", kid);
                if active.kid == replacement.kid {
                    audit("key.created", &active.kid);
                }
                let began = active.activated_at.map(Timestamp::as_millisecond);
                if began == Some(now.as_millisecond()) {
                    audit("key.activated", &active.kid);
                }
                // Done is done: a reading that fails is made up for by the next round.
                if let Err(error) = self.read(&mut sightings).await {
                    report(&error);
                }
                Ok(self.status(active, &sightings, false))
            }
        }
    }

    /// Runs until it is dropped. `gate` is open while this process has a key to sign with.
    pub async fn run(self, every: Duration, gate: Gate) {
        tokio::join!(self.rounds(every), self.follow(every, gate));
    }

    /// Beside the rounds: one that waits for the store must not keep it open.
    async fn follow(&self, every: Duration, gate: Gate) {
        let mut ticks = tokio::time::interval(every);
        let mut changed = self.parts.keys.changed();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                // The sender lives in the parts.
                _ = changed.changed() => {}
            }
            gate.set(self.parts.keys.signer().is_some());
        }
    }

    async fn rounds(&self, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut well = true;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.parts.keys.stale() => {}
            }
            let outcome = self.round().await;
            match (&outcome, well) {
                (Err(error), true) => report(error),
                (Ok(()), false) => info!("the signing keys can be read again"),
                _ => {}
            }
            well = outcome.is_ok();
        }
    }

    /// Reads the keys and does what the schedule says.
    pub async fn round(&self) -> Result<(), KeeperError> {
        let mut sightings = self.sightings.lock().await;
        let records = self.read(&mut sightings).await?;
        let ages = sightings.ages(&records, self.parts.clock.monotonic());
        self.parts.metrics.show(&ages);
        let mut steps = plan(&ages, &self.parts.schedule);
        let stopped = self.stopped(&ages, &steps, &records);
        // An instance that cannot sign with a key does not make everybody try.
        if matches!(stopped, Some(Stopped::Unusable(_))) {
            steps.retain(|step| !matches!(step, Step::Activate { .. }));
        }
        self.tell(stopped);
        let due = !steps.is_empty();
        for step in steps {
            self.take(step).await?;
        }
        // Also where another instance was faster: it has changed something, then.
        if due {
            self.read(&mut sightings).await?;
        }
        Ok(())
    }

    async fn take(&self, step: Step) -> Result<(), KeeperError> {
        let KeeperParts { store, clock, .. } = &*self.parts;
        match step {
            Step::CreateActive => self.create_active().await?,
            Step::Publish { active } => {
                self.publish(&active).await?;
            }
            Step::Activate { kid, retires } => {
                let done = store.activate_key(&kid, retires.as_deref(), clock.now());
                if done.await? {
                    audit("key.activated", &kid);
                    retires.iter().for_each(|kid| audit("key.retired", kid));
                }
            }
            Step::Delete { kid } => {
                if store.delete_retiring(&kid).await? {
                    audit("key.deleted", &kid);
                }
            }
        }
        Ok(())
    }

    fn stopped(
        &self,
        ages: &[KeyAge<'_>],
        steps: &[Step],
        records: &[SigningKeyRecord],
    ) -> Option<Stopped> {
        let next = steps.iter().find_map(|step| match step {
            Step::Activate { kid, .. } => records.iter().find(|record| record.kid == *kid),
            _ => None,
        });
        let unusable = next.filter(|next| {
            super::public_of(next).is_err() || open(next, &self.parts.key_ring).is_err()
        });
        match unusable {
            Some(next) => Some(Stopped::Unusable(next.kid.clone())),
            None => is_full(ages, &self.parts.schedule).then_some(Stopped::Full),
        }
    }

    /// Once when it begins, not each second.
    fn tell(&self, stopped: Option<Stopped>) {
        let mut told = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if *told == stopped {
            return;
        }
        match &stopped {
            Some(Stopped::Full) => warn!(
                "{MAX_PUBLISHED} signing keys are published: no other is made until one is deleted"
            ),
            Some(Stopped::Unusable(kid)) => error!(
                event = "key.unusable",
                token.kid = kid,
                "signing key {kid} should sign now and cannot be used here; unless another \
                 instance can, drop it with `latchkey keys revoke {kid}`"
            ),
            None => info!("signing keys rotate again"),
        }
        *told = stopped;
    }

    async fn create_active(&self) -> Result<(), KeeperError> {
        let parts = &self.parts;
        let now = parts.clock.now();
        let (key, record) = SigningKey::generate(&parts.key_ring, SigningKeyState::Active, now)?;
        if parts.store.insert_first_active(&record).await? {
            audit("key.created", key.kid());
            audit("key.activated", key.kid());
        }
        Ok(())
    }

    /// Whether it was this process that did.
    async fn publish(&self, active: &str) -> Result<bool, KeeperError> {
        let parts = &self.parts;
        let now = parts.clock.now();
        let (key, record) = SigningKey::generate(&parts.key_ring, SigningKeyState::Upcoming, now)?;
        let published = parts.store.insert_upcoming(&record, active, MAX_PUBLISHED);
        let published = published.await?;
        if published {
            audit("key.created", key.kid());
        }
        Ok(published)
    }

    /// Reads the keys and, where they are others, hands them on.
    async fn read(&self, sightings: &mut Sightings) -> Result<Vec<SigningKeyRecord>, KeeperError> {
        let parts = &self.parts;
        let asked_at = parts.keys.moment();
        let records = parts.store.load_all().await?;
        sightings.note(&records, parts.clock.now(), parts.clock.monotonic());
        let current = parts.keys.current();
        if !current.are(&records) {
            let (next, problem) = current.followed_by(&records, &parts.key_ring);
            if let Some(problem) = problem {
                error!(
                    error = &problem as &dyn std::error::Error,
                    "the active signing key cannot be used: {problem}"
                );
            }
            parts.keys.replace(next);
        }
        // A signer that retires already is not confirmed: it stops in time, before another
        // instance deletes it under the last tokens.
        if parts.keys.current().sign_for(&records) {
            parts.keys.confirm(asked_at);
        }
        Ok(records)
    }

    fn statuses(&self, records: &[SigningKeyRecord], sightings: &Sightings) -> Vec<KeyStatus> {
        let upcoming = |record: &SigningKeyRecord| record.state == SigningKeyState::Upcoming;
        let has_upcoming = records.iter().any(upcoming);
        let status =
            |record: &SigningKeyRecord| self.status(record.clone(), sightings, has_upcoming);
        records.iter().map(status).collect()
    }

    fn status(
        &self,
        record: SigningKeyRecord,
        sightings: &Sightings,
        has_upcoming: bool,
    ) -> KeyStatus {
        let KeeperParts {
            clock, schedule, ..
        } = &*self.parts;
        let ages = sightings.ages(std::slice::from_ref(&record), clock.monotonic());
        let wait = ages
            .first()
            .and_then(|age| next_change_in(age, has_upcoming, schedule));
        let next_change_at = wait.and_then(|wait| clock.now().checked_add(wait).ok());
        KeyStatus {
            record,
            next_change_at,
        }
    }
}

/// One line for everything that happens to a key.
fn audit(event: &'static str, kid: &str) {
    info!(event, token.kid = kid, "signing key {kid}: {event}");
}

fn report(error: &KeeperError) {
    warn!(
        error = error as &dyn std::error::Error,
        "the signing keys were not looked after; the next round tries again"
    );
}

#[cfg(test)]
mod tests;
