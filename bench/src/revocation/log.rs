//! A revocation log in memory, for what needs no auth service.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use chassis::{Clock, SystemClock};
use proto::auth::v1::{
    Opening, Revocation, RevocationBatch, WatchResponse, revocation::Target, watch_response::Event,
};
use token_verifier::{FollowOptions, RevocationKeys, Revocations};

/// As many as the auth service puts into a batch of a snapshot.
const BATCH: u32 = 4096;
const LIFE_OF_AN_ENTRY: i64 = 360;

/// A session like those that the auth service names: a UUID that begins with the time.
pub(super) fn session(number: u32) -> u128 {
    // The constants of SplitMix64, which leaves no pattern.
    let mut mixed = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    let millisecond = 1_800_000_000_000 + u128::from(number / 8);
    millisecond << 80 | 7 << 76 | u128::from(mixed ^ mixed >> 31)
}

/// What can revoke a token of the session.
pub(super) fn keys_of(number: u32) -> RevocationKeys {
    let hex = format!("{:032x}", session(number));
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    let subject = format!("usr_{hex}");
    RevocationKeys::new(Some(&parts.join("-")), &subject, "kid-1", SystemClock.now())
}

/// A follower that has taken in the first so many sessions, and how long that took.
pub(super) fn follow(
    options: FollowOptions,
    entries: u32,
) -> anyhow::Result<(Revocations, Duration)> {
    let clock = SystemClock;
    let (revocations, mut handle) = Revocations::manual(options, Arc::new(clock));
    handle.request();
    let opening = Opening {
        log_id: "bench".to_owned(),
        after_seq: 0,
        head_seq: entries.into(),
        now_us: clock.now().as_microsecond(),
    };
    handle.apply(message(Event::Opening(opening)))?;
    let mut taken = Duration::ZERO;
    for after in (0..entries).step_by(BATCH as usize) {
        let batch = message(Event::Batch(batch(after, entries.min(after + BATCH))));
        let began = clock.monotonic();
        handle.apply(batch)?;
        taken += clock.monotonic() - began;
    }
    ensure!(revocations.is_ready(), "the snapshot is not whole");
    ensure!(revocations.len() == entries as usize, "entries are missing");
    Ok((revocations, taken))
}

fn message(event: Event) -> WatchResponse {
    WatchResponse { event: Some(event) }
}

/// Entry 1 is session 0.
fn batch(after: u32, through: u32) -> RevocationBatch {
    let now = SystemClock.now();
    let revocation = |number: u32| Revocation {
        seq: u64::from(number) + 1,
        revoked_at_us: now.as_microsecond(),
        expires_at_s: now.as_second() + LIFE_OF_AN_ENTRY,
        target: Some(Target::SessionId(session(number).to_be_bytes().to_vec())),
    };
    RevocationBatch {
        after_seq: after.into(),
        through_seq: through.into(),
        revocations: (after..through).map(revocation).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use token_verifier::RevocationError;

    #[test]
    fn revokes_the_sessions_that_it_names_and_no_others() {
        let (revocations, _) = follow(FollowOptions::default(), 5_000).unwrap();
        for number in [0, 1, 4_999] {
            let checked = revocations.check(&keys_of(number));
            assert_eq!(checked, Err(RevocationError::Revoked));
        }
        assert_eq!(revocations.check(&keys_of(5_000)), Ok(()));
    }
}
