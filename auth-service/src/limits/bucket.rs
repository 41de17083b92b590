//! The arithmetic of one bucket: the generic cell rate algorithm (ITU-T I.371),
//! which is a token bucket that rests in one number.

use std::time::Duration;

use jiff::Timestamp;

/// The longest time in which any bucket fills. Added to any instant it stays far inside
/// 64 bits; it is two thousand million years.
const MAX_CAPACITY_MILLIS: i64 = 1 << 56;

/// What a bucket holds, and how it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    burst: u32,
    refill_millis: i64,
}

impl Quota {
    /// At most `burst` at once, and one more after each `refill`. At least one, and
    /// at least a millisecond.
    pub const fn new(burst: u32, refill: Duration) -> Self {
        let burst = if burst == 0 { 1 } else { burst };
        // More than a year between two serves nobody.
        let millis = refill.as_millis();
        let refill_millis = match millis {
            0 => 1,
            1..=31_536_000_000 => millis as i64,
            _ => 31_536_000_000,
        };
        Self {
            burst,
            refill_millis,
        }
    }

    fn capacity_millis(self) -> i64 {
        i64::from(self.burst)
            .saturating_mul(self.refill_millis)
            .min(MAX_CAPACITY_MILLIS)
    }
}

/// A bucket's whole state: when it will be full again. One that is full at `now` is
/// as good as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    full_at_millis: i64,
}

impl Bucket {
    /// A bucket that nothing was taken from.
    pub fn full(now: Timestamp) -> Self {
        Self {
            full_at_millis: now.as_millisecond(),
        }
    }

    /// From a store.
    pub fn from_millis(full_at_millis: i64) -> Self {
        Self { full_at_millis }
    }

    /// For a store.
    pub fn as_millis(self) -> i64 {
        self.full_at_millis
    }

    /// The bucket with one taken, or how long until one can be.
    ///
    /// A clock that went back far makes nobody wait longer than an empty bucket does.
    pub fn take(self, quota: Quota, now: Timestamp) -> Result<Self, Duration> {
        let now = now.as_millisecond();
        let full_at = self.bounded(quota, now) + quota.refill_millis;
        let wait = full_at - quota.capacity_millis() - now;
        if wait > 0 {
            return Err(Duration::from_millis(wait.unsigned_abs()));
        }
        Ok(Self {
            full_at_millis: full_at,
        })
    }

    /// The bucket with one given back.
    pub fn give_back(self, quota: Quota, now: Timestamp) -> Self {
        let now = now.as_millisecond();
        Self {
            full_at_millis: (self.bounded(quota, now) - quota.refill_millis).max(now),
        }
    }

    fn bounded(self, quota: Quota, now: i64) -> i64 {
        self.full_at_millis
            .clamp(now, now + quota.capacity_millis())
    }
}
