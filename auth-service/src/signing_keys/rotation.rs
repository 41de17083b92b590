//! When a key goes into its next state. Pure: ages come in, steps go out.
//!
//! A step is a wish. The store takes it only if the rows are still as the plan saw
//! them, so that several instances that plan the same thing do it once.

use std::time::Duration;

use crate::access_token;
use crate::store::SigningKeyState;

mod sightings;

pub use sightings::{KeyAge, Sightings};

/// How long a key signs. A month bounds what a key that leaked unnoticed is good for.
pub const DEFAULT_ROTATE_EVERY: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a key stays published after it stopped signing: what it signed at last has
/// expired by then, with a minute for clocks and for instances that noticed late.
pub const DEFAULT_RETIRE_AFTER: Duration =
    Duration::from_secs(access_token::MAX_TTL.as_secs() + 60);
/// Verifiers refuse a document of more than 32 keys. Nobody rotates this often unless
/// something is wrong, and an emergency needs no room: it replaces.
pub const MAX_PUBLISHED: usize = 24;

/// The spans of a key's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How long a key signs.
    pub rotate_every: Duration,
    /// How long a key is published before it signs.
    pub publish_before: Duration,
    /// How long a key stays published after it stopped signing.
    pub retire_after: Duration,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is no key that signs and none that could: make one.
    CreateActive,
    /// Publish a key that will follow this one.
    Publish {
        /// The key that signs.
        active: String,
    },
    /// The key begins to sign, and the one that signed until now, if any, retires.
    Activate {
        /// Which begins.
        kid: String,
        /// Which retires.
        retires: Option<String>,
    },
    /// Nothing that the key signed can be alive.
    Delete {
        /// Which.
        kid: String,
    },
}

/// What these keys need. At most one step concerns the key that signs, so that a
/// round never acts on what its own first step has changed.
pub fn plan(keys: &[KeyAge<'_>], schedule: &Schedule) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(next_signer(keys, schedule));
    let over = |key: &&KeyAge<'_>| {
        key.state == SigningKeyState::Retiring && key.in_state_for >= schedule.retire_after
    };
    steps.extend(keys.iter().filter(over).map(|key| Step::Delete {
        kid: key.kid.to_owned(),
    }));
    steps
}

/// How long until this key goes into its next state, if nobody commands otherwise.
pub fn next_change_in(
    key: &KeyAge<'_>,
    has_upcoming: bool,
    schedule: &Schedule,
) -> Option<Duration> {
    match key.state {
        SigningKeyState::Upcoming => {
            Some(schedule.publish_before.saturating_sub(key.published_for))
        }
        // With one upcoming, that one's time counts.
        SigningKeyState::Active if has_upcoming => None,
        SigningKeyState::Active => Some(schedule.rotate_every.saturating_sub(key.in_state_for)),
        SigningKeyState::Retiring => Some(schedule.retire_after.saturating_sub(key.in_state_for)),
    }
}

fn next_signer(keys: &[KeyAge<'_>], schedule: &Schedule) -> Option<Step> {
    let in_state = |state| keys.iter().filter(move |key| key.state == state);
    let active = in_state(SigningKeyState::Active).next();
    // The one that verifiers had most time to learn.
    let upcoming = in_state(SigningKeyState::Upcoming).max_by_key(|key| key.published_for);
    match (active, upcoming) {
        (None, None) => Some(Step::CreateActive),
        // Nothing signs, so waiting would help nobody.
        (None, Some(key)) => Some(activate(key, None)),
        (Some(active), Some(key)) if key.published_for >= schedule.publish_before => {
            Some(activate(key, Some(active)))
        }
        (Some(_), Some(_)) => None,
        (Some(active), None) => {
            let due = is_due(active, schedule) && keys.len() < MAX_PUBLISHED;
            due.then(|| Step::Publish {
                active: active.kid.to_owned(),
            })
        }
    }
}

/// Whether the next key should be published and cannot: there are too many.
pub fn is_full(keys: &[KeyAge<'_>], schedule: &Schedule) -> bool {
    let in_state = |state| keys.iter().filter(move |key| key.state == state);
    let mut active = in_state(SigningKeyState::Active);
    keys.len() >= MAX_PUBLISHED
        && in_state(SigningKeyState::Upcoming).next().is_none()
        && active.any(|active| is_due(active, schedule))
}

fn is_due(active: &KeyAge<'_>, schedule: &Schedule) -> bool {
    let until = schedule
        .rotate_every
        .saturating_sub(schedule.publish_before);
    active.in_state_for >= until
}

fn activate(key: &KeyAge<'_>, active: Option<&KeyAge<'_>>) -> Step {
    Step::Activate {
        kid: key.kid.to_owned(),
        retires: active.map(|active| active.kid.to_owned()),
    }
}

#[cfg(test)]
mod tests;
