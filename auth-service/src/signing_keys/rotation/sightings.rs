//! How old keys are, by a clock that nobody can set.
//!
//! Rows carry wall-clock instants, and a wall clock may be an hour off and be put
//! right. So they are believed once, and only for the key that signs when this process
//! begins: believing too much there publishes the next one early, which harms nobody.
//! From then on ages grow with the monotonic clock, and a key that appears later is as
//! old as the time since it was first seen. A wrong clock can make a key wait for longer,
//! and cannot make it sign or vanish early, not even across a restart.
//!
//! So an upcoming key waits for its whole time again after a restart. A process that is
//! restarted more often than that never takes the step; other instances do.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::store::{SigningKeyRecord, SigningKeyState};

/// One key and how long it has been what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAge<'a> {
    /// Which.
    pub kid: &'a str,
    /// Where it is in its life.
    pub state: SigningKeyState,
    /// How long verifiers could have known it.
    pub published_for: Duration,
    /// How long it has been in its state.
    pub in_state_for: Duration,
}

/// What this process has seen of the keys so far.
#[derive(Debug, Default)]
pub struct Sightings {
    seen: HashMap<String, Sighting>,
    /// Whether rows were read before: only the first reading believes an instant.
    started: bool,
}

/// Ages at a moment of the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    at: Duration,
    state: SigningKeyState,
    published_for: Duration,
    in_state_for: Duration,
}

impl Sightings {
    /// Takes what was just read, and forgets what is no longer there.
    pub fn note(&mut self, records: &[SigningKeyRecord], now: Timestamp, monotonic: Duration) {
        let mut seen = HashMap::with_capacity(records.len());
        for record in records {
            let sighting = match self.seen.get(&record.kid) {
                Some(before) => before.continued(record.state, monotonic),
                None if self.started => Sighting::fresh(record.state, monotonic),
                None => Sighting::believed(record, now, monotonic),
            };
            seen.insert(record.kid.clone(), sighting);
        }
        self.seen = seen;
        self.started = true;
    }

    /// The ages of these keys, which [`Sightings::note`] has taken.
    pub fn ages<'a>(
        &self,
        records: &'a [SigningKeyRecord],
        monotonic: Duration,
    ) -> Vec<KeyAge<'a>> {
        let age = |record: &'a SigningKeyRecord| {
            let seen = self.seen.get(&record.kid);
            let fresh = Sighting::fresh(record.state, monotonic);
            let seen = seen.copied().unwrap_or(fresh);
            let passed = monotonic.saturating_sub(seen.at);
            KeyAge {
                kid: &record.kid,
                state: record.state,
                published_for: seen.published_for + passed,
                in_state_for: seen.in_state_for + passed,
            }
        };
        records.iter().map(age).collect()
    }
}

impl Sighting {
    fn fresh(state: SigningKeyState, at: Duration) -> Self {
        Self {
            at,
            state,
            published_for: Duration::ZERO,
            in_state_for: Duration::ZERO,
        }
    }

    /// An upcoming key is not believed: verifiers may not know it yet. Nor is a retiring
    /// one: it costs nothing to keep it for a while longer, and dropping it early would
    /// refuse what it signed.
    fn believed(record: &SigningKeyRecord, now: Timestamp, at: Duration) -> Self {
        let since = |instant: Timestamp| {
            Duration::try_from(now.duration_since(instant)).unwrap_or(Duration::ZERO)
        };
        match record.state {
            SigningKeyState::Active => Self {
                at,
                state: record.state,
                published_for: since(record.created_at),
                in_state_for: record.activated_at.map_or(Duration::ZERO, since),
            },
            SigningKeyState::Upcoming | SigningKeyState::Retiring => Self::fresh(record.state, at),
        }
    }

    fn continued(self, state: SigningKeyState, now: Duration) -> Self {
        if state == self.state {
            return self;
        }
        Self {
            at: now,
            state,
            published_for: self.published_for + now.saturating_sub(self.at),
            in_state_for: Duration::ZERO,
        }
    }
}
