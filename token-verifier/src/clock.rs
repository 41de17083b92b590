//! Where the time comes from. Everything that compares a token with "now" asks a
//! [`Clock`], so that tests own the time and only [`SystemClock`] reads the machine's.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{Timestamp, TimestampArithmetic};

/// A source of wall-clock time.
pub trait Clock: Send + Sync + 'static {
    /// The current instant.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the wall clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is moved by hand.
///
/// Clones share the same time: keep one, hand the other to the code under test.
///
/// ```
/// use std::time::Duration;
/// use token_verifier::{Clock, ManualClock};
///
/// let clock = ManualClock::at(jiff::Timestamp::UNIX_EPOCH);
/// let same_clock = clock.clone();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(same_clock.now().as_second(), 60);
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<Mutex<Timestamp>>,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            now: Arc::new(Mutex::new(now)),
        }
    }

    /// Moves the clock to `now`, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        *self.lock() = now;
    }

    /// Moves the clock by a [`std::time::Duration`] or a (perhaps negative)
    /// [`jiff::SignedDuration`].
    ///
    /// # Panics
    ///
    /// When the result lies outside the years that [`Timestamp`] can hold.
    pub fn advance(&self, by: impl Into<TimestampArithmetic>) {
        let mut now = self.lock();
        *now = now
            .checked_add(by)
            .expect("a test moves its clock within the range of timestamps");
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Timestamp> {
        // A timestamp is whole whenever the lock is free, whoever panicked before.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.lock()
    }
}

#[cfg(test)]
mod tests;
