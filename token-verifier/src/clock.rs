//! Where the time comes from. Everything that compares a token with "now" asks a
//! [`Clock`], so that tests own the time and only [`SystemClock`] reads the machine's.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, TimestampArithmetic};

/// A source of time: the wall clock's for what others say ("expires at"), a steady one
/// for spans.
pub trait Clock: Send + Sync + 'static {
    /// The current instant by the wall clock, which may be set forwards and backwards.
    fn now(&self) -> Timestamp;

    /// Time since a fixed moment of this process. Nobody can set it, and it goes on while
    /// the machine sleeps, if the machine can tell.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
///
/// On Linux [`monotonic`](Clock::monotonic) counts the time that the machine was suspended
/// (`CLOCK_BOOTTIME`); elsewhere that is up to [`std::time::Instant`]. A virtual machine
/// that its host pauses, or goes back to a snapshot of, does not notice: that time is
/// missing from every clock that cannot be set. Until its next word from the auth service
/// a verifier there takes what it knows for as fresh, and the time for as early, as it was
/// before.
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

    fn monotonic(&self) -> Duration {
        static START: LazyLock<steady::Moment> = LazyLock::new(steady::now);
        steady::since(*START)
    }
}

/// `CLOCK_BOOTTIME`: the standard library's `Instant` stands still while the machine sleeps.
#[cfg(target_os = "linux")]
mod steady {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    pub(super) type Moment = Duration;

    pub(super) fn now() -> Moment {
        let since_boot = clock_gettime(ClockId::Boottime);
        Duration::try_from(since_boot).expect("no time before the boot")
    }

    pub(super) fn since(start: Moment) -> Duration {
        now().saturating_sub(start)
    }
}

#[cfg(not(target_os = "linux"))]
mod steady {
    use std::time::{Duration, Instant};

    pub(super) type Moment = Instant;

    pub(super) fn now() -> Moment {
        Instant::now()
    }

    pub(super) fn since(start: Moment) -> Duration {
        start.elapsed()
    }
}

/// A clock that stands still until it is moved by hand.
///
/// [`advance`](Self::advance) lets time pass, [`set`](Self::set) corrects the wall clock
/// while no time passes.
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
    time: Arc<Mutex<Time>>,
}

#[derive(Debug)]
struct Time {
    now: Timestamp,
    monotonic: Duration,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            time: Arc::new(Mutex::new(Time {
                now,
                monotonic: Duration::ZERO,
            })),
        }
    }

    /// Sets the wall clock to `now`, forwards or backwards. The monotonic one stays.
    pub fn set(&self, now: Timestamp) {
        self.lock().now = now;
    }

    /// Moves both clocks by a [`std::time::Duration`] or a [`jiff::SignedDuration`]. One
    /// that is negative moves the wall clock alone: no time passes backwards.
    ///
    /// # Panics
    ///
    /// When the result lies outside the years that [`Timestamp`] can hold.
    pub fn advance(&self, by: impl Into<TimestampArithmetic>) {
        let mut time = self.lock();
        let before = time.now;
        time.now = before
            .checked_add(by)
            .expect("a test moves its clock within the range of timestamps");
        let passed: SignedDuration = time.now.duration_since(before);
        time.monotonic += Duration::try_from(passed).unwrap_or_default();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Time> {
        // The time is whole whenever the lock is free: a move that panics changes nothing.
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn monotonic(&self) -> Duration {
        self.lock().monotonic
    }
}

#[cfg(test)]
mod tests;
