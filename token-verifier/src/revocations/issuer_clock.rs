//! The auth service's clock, as far as its messages tell.
//!
//! A message says what time it was there when it was sent. It arrives some time later, and
//! after a long stop of this process a whole minute of messages arrives at once. So one
//! message alone gives a bound on the distance of the two clocks from one side: an issuer's
//! clock is at least as far ahead of ours as it was when the message came. The answer to a
//! question gives the other side: it was sent after the question.

use std::time::Duration;

/// How much slower the issuer's clock may run than ours. NTP corrects no faster.
const SLOWEST: u32 = 2000;

/// How far the issuer's wall clock is ahead of our monotonic one, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Offset {
    /// At least this; what the time is taken to be.
    low: i64,
    /// At most this, when it was last asked; how old messages are is judged by it.
    high: i64,
    /// When a message last came.
    at: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IssuerClock {
    offset: Option<Offset>,
}

impl IssuerClock {
    /// What to add to the monotonic time, in microseconds, for the issuer's time.
    pub(super) fn offset_us(&self) -> Option<i64> {
        self.offset.map(|offset| offset.low)
    }

    /// An answer that says `now_us` came at `now` to what was asked at `asked_at`. Returns
    /// the earliest moment at which it can have been sent.
    pub(super) fn answered(&mut self, now_us: i64, asked_at: Duration, now: Duration) -> Duration {
        let fresh = Offset {
            low: now_us - micros(now),
            high: now_us - micros(asked_at),
            at: now,
        };
        let offset = match self.slackened(now) {
            // What was known agrees with what is said now: both hold.
            Some(known) if known.low <= fresh.high && fresh.low <= known.high => Offset {
                low: known.low.max(fresh.low),
                high: known.high.min(fresh.high),
                at: now,
            },
            // It does not: somebody set the issuer's clock, or it is another's.
            _ => fresh,
        };
        self.offset = Some(offset);
        offset.moment(now_us)
    }

    /// A message that says `now_us` came unasked at `now`. Returns the earliest moment at
    /// which it can have been sent.
    pub(super) fn told(&mut self, now_us: i64, now: Duration) -> Duration {
        let least = now_us - micros(now);
        let known = self.slackened(now).unwrap_or(Offset {
            low: least,
            high: least,
            at: now,
        });
        let mut offset = Offset {
            low: known.low.max(least),
            ..known
        };
        if least > known.high {
            // Set forwards, or fast. Its messages take as long as before.
            offset.high = least + (known.high - known.low).max(0);
        }
        self.offset = Some(offset);
        offset.moment(now_us)
    }

    fn slackened(&self, now: Duration) -> Option<Offset> {
        let known = self.offset?;
        let slack = micros(now.saturating_sub(known.at) / SLOWEST);
        Some(Offset {
            low: known.low - slack,
            high: known.high,
            at: now,
        })
    }
}

impl Offset {
    fn moment(self, issuer_us: i64) -> Duration {
        let us = u64::try_from(issuer_us - self.high).unwrap_or_default();
        Duration::from_micros(us)
    }
}

/// A process that runs for 292 000 years has other worries.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests;
