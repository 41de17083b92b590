//! A bounded pool for hashing: a login flood takes the processors it was given and
//! the memory it was given, and the rest is told to come back later.

#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::phc::Memory;
use super::{HashCost, Password, PasswordHash};
use crate::entropy::Entropy;
use crate::store::BoxedError;

/// How much hashing there may be at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashingSettings {
    /// Of new hashes.
    pub cost: HashCost,
    /// Hashes made at the same time. Memory is bounded by this times the cost's.
    pub permits: NonZeroUsize,
    /// Callers that may wait for a permit.
    pub queue: usize,
}

impl HashingSettings {
    /// Some two seconds of work for one processor: who would wait longer is better
    /// told to come back.
    pub const DEFAULT_QUEUE: usize = 64;
}

impl Default for HashingSettings {
    /// All processors but one, so that a flood of logins leaves one to everybody else.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            cost: HashCost::DEFAULT,
            permits: NonZeroUsize::new(processors - 1).unwrap_or(NonZeroUsize::MIN),
            queue: Self::DEFAULT_QUEUE,
        }
    }
}

/// Why a password was neither hashed nor verified.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// The queue is full.
    #[error("the hashing queue is full")]
    Shed {
        /// When to try again.
        retry_after: Duration,
    },
    /// Our bug, or not enough memory.
    #[error("hashing failed")]
    Failed(#[source] BoxedError),
}

/// What the pool is doing, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashingStats {
    /// Callers waiting for a permit.
    pub waiting: usize,
    /// Hashes being made.
    pub running: usize,
    /// Callers sent away since the start.
    pub shed: u64,
}

/// How soon somebody who was sent away may hope: the queue drains in about this.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The pool. Cheap to clone; all clones share the bounds.
#[derive(Clone)]
pub struct HashingPool {
    shared: Arc<Shared>,
}

struct Shared {
    settings: HashingSettings,
    entropy: Arc<dyn Entropy>,
    /// One for each caller who is waiting or being served.
    places: Arc<Semaphore>,
    /// One for each hash being made.
    permits: Arc<Semaphore>,
    /// What hashes are made in: at most one for each permit.
    memories: Mutex<Vec<Memory>>,
    shed: AtomicU64,
    /// What the password of an address without an account is verified against. It has
    /// the present cost: after that was raised, an account whose person has not signed
    /// in since answers faster, until they do.
    nobody: PasswordHash,
}

impl HashingPool {
    /// A pool of its own bounds. Makes one hash, so call it at start.
    pub fn new(settings: HashingSettings, entropy: Arc<dyn Entropy>) -> Result<Self, HashingError> {
        // Random, so that no password opens what does not exist.
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        let password = Password::received(bytes.map(|b| format!("{b:02x}")).concat());
        let mut memory = Memory::default();
        let nobody = settings
            .cost
            .hash(&password, &*entropy, &mut memory)
            .map_err(HashingError::Failed)?;
        let permits = settings.permits.get();
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                entropy,
                places: Arc::new(Semaphore::new(permits + settings.queue)),
                permits: Arc::new(Semaphore::new(permits)),
                memories: Mutex::new(vec![memory]),
                shed: AtomicU64::new(0),
                nobody,
            }),
        })
    }

    /// Hashes a password with a fresh salt.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, HashingError> {
        let shared = Arc::clone(&self.shared);
        self.run(move |memory| {
            shared
                .settings
                .cost
                .hash(&password, &*shared.entropy, memory)
        })
        .await
    }

    /// Whether `hash` is one of `password`. Without a hash the answer is no, after the
    /// same work.
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<bool, HashingError> {
        let shared = Arc::clone(&self.shared);
        self.run(move |memory| {
            let hash_to_match = hash.as_ref().unwrap_or(&shared.nobody);
            let matches = hash_to_match.verify(&password, memory)?;
            Ok(matches && hash.is_some())
        })
        .await
    }

    /// Whether `hash` was made at a lower cost than new ones are.
    pub fn needs_rehash(&self, hash: &PasswordHash) -> bool {
        self.shared.settings.cost.exceeds(hash)
    }

    /// What the pool is doing.
    pub fn stats(&self) -> HashingStats {
        let permits = self.shared.settings.permits.get();
        let running = permits - self.shared.permits.available_permits().min(permits);
        let places = permits + self.shared.settings.queue;
        let taken = places - self.shared.places.available_permits().min(places);
        HashingStats {
            waiting: taken.saturating_sub(running),
            running,
            shed: self.shared.shed.load(Ordering::Relaxed),
        }
    }

    /// Runs `work` on a blocking thread when its turn comes. A caller that goes away
    /// while waiting leaves the queue; once the work has begun, place and permit go
    /// with it and come back when it is done, so cancelling gains nobody more.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> Result<T, BoxedError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let place = self.take_place()?;
        let permit = Arc::clone(&self.shared.permits)
            .acquire_owned()
            .await
            .map_err(|closed| HashingError::Failed(closed.into()))?;
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || {
            let _held = (place, permit);
            let mut memory = shared.memories().pop().unwrap_or_default();
            let outcome = work(&mut memory);
            shared.memories().push(memory);
            outcome
        });
        done.await
            .map_err(|stopped| HashingError::Failed(stopped.into()))?
            .map_err(HashingError::Failed)
    }

    /// Takes every place until the answer is dropped.
    #[cfg(test)]
    pub(crate) fn fill(&self) -> impl Drop + use<> {
        let places = self.shared.settings.permits.get() + self.shared.settings.queue;
        let places = u32::try_from(places).expect("a test's pool is small");
        Arc::clone(&self.shared.places)
            .try_acquire_many_owned(places)
            .expect("an idle pool")
    }

    fn take_place(&self) -> Result<OwnedSemaphorePermit, HashingError> {
        Arc::clone(&self.shared.places)
            .try_acquire_owned()
            .map_err(|_full| {
                self.shared.shed.fetch_add(1, Ordering::Relaxed);
                HashingError::Shed {
                    retry_after: RETRY_AFTER,
                }
            })
    }
}

impl Shared {
    fn memories(&self) -> std::sync::MutexGuard<'_, Vec<Memory>> {
        // Pushing and popping leave nothing half done.
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
