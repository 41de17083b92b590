//! What a reader sees, message by message.

use std::task::{Context, Poll, Waker};

use jiff::SignedDuration;

use super::fixtures::{
    LOG, START_S, at_ms, batch, heartbeat, key, opening, session, session_id, sessions, subject,
    token,
};
use super::*;
use crate::clock::ManualClock;

struct Stage {
    clock: ManualClock,
    revocations: Revocations,
    handle: FollowerHandle,
}

impl Stage {
    fn new(options: FollowOptions) -> Self {
        let clock = ManualClock::at(Timestamp::from_second(START_S).unwrap());
        let (revocations, handle) = Revocations::manual(options, Arc::new(clock.clone()));
        Self {
            clock,
            revocations,
            handle,
        }
    }

    /// One that follows, with nothing revoked.
    fn following(options: FollowOptions) -> Self {
        let mut stage = Self::new(options);
        stage.opens(0, 0);
        assert_eq!(stage.revocations.state(), FeedState::Following);
        stage
    }

    fn opens(&mut self, after: u64, head: u64) {
        self.handle.request();
        let message = opening(LOG, after, head, self.clock.monotonic());
        self.handle.apply(message).unwrap();
    }

    fn is_revoked(&self, keys: &RevocationKeys) -> bool {
        self.revocations.check(keys) == Err(RevocationError::Revoked)
    }
}

#[test]
fn says_nothing_before_a_snapshot() {
    let mut stage = Stage::new(FollowOptions::default());
    assert_eq!(
        stage.revocations.check(&token(1)),
        Err(RevocationError::NoSnapshot)
    );
    stage.opens(0, 3);
    stage.handle.apply(sessions(0, 2)).unwrap();
    assert_eq!(
        stage.revocations.check(&token(1)),
        Err(RevocationError::NoSnapshot)
    );
    assert!(!stage.revocations.is_ready());
    stage.handle.apply(sessions(2, 3)).unwrap();
    assert!(stage.is_revoked(&token(1)));
    assert_eq!(stage.revocations.check(&token(4)), Ok(()));
}

#[test]
fn revokes_by_session_by_subject_and_by_key() {
    let issued_at = |second| Timestamp::from_second(START_S + second).unwrap();
    let named =
        |sid: Option<&str>, sub, kid, second| RevocationKeys::new(sid, sub, kid, issued_at(second));
    let mut stage = Stage::following(FollowOptions::default());
    let revoked = vec![session(1, 7), subject(2, "usr_9", START_S), key(3, "kid-9")];
    stage.handle.apply(batch(0, 3, revoked)).unwrap();

    assert!(stage.is_revoked(&named(Some(&session_id(7)), "usr_1", "kid-1", 100)));
    assert!(stage.is_revoked(&named(None, "usr_9", "kid-1", -1)));
    assert!(!stage.is_revoked(&named(None, "usr_9", "kid-1", 0)));
    assert!(stage.is_revoked(&named(None, "usr_1", "kid-9", 1_000_000)));
    assert!(!stage.is_revoked(&named(Some(&session_id(8)), "usr_1", "kid-1", -100)));
    // A session's number is no subject's.
    assert!(!stage.is_revoked(&named(None, &session_id(7), &session_id(7), -100)));
    assert_eq!(stage.revocations.len(), 3);
}

#[test]
fn a_session_noted_here_is_revoked_at_once_and_survives_a_snapshot() {
    let mut stage = Stage::following(FollowOptions::default());
    stage.revocations.note_session_ended(&session_id(5));
    stage.revocations.note_session_ended("no-uuid");
    assert!(stage.is_revoked(&token(5)));
    stage.handle.request();
    let other = opening("log-2", 0, 2, stage.clock.monotonic());
    stage.handle.apply(other).unwrap();
    stage
        .handle
        .apply(batch(0, 2, vec![session(2, 2)]))
        .unwrap();
    assert!(stage.is_revoked(&token(5)));
    let issued_at = Timestamp::from_second(START_S).unwrap();
    let odd = RevocationKeys::new(Some("no-uuid"), "usr_1", "kid-1", issued_at);
    assert!(stage.is_revoked(&odd));
}

#[test]
fn a_snapshot_of_another_log_leaves_nothing_of_the_one_before() {
    let mut stage = Stage::following(FollowOptions::default());
    stage.handle.apply(sessions(0, 3)).unwrap();
    stage.handle.request();
    let other = opening("log-2", 0, 9, stage.clock.monotonic());
    stage.handle.apply(other).unwrap();
    assert!(stage.is_revoked(&token(1)), "until the other is whole");
    stage
        .handle
        .apply(batch(0, 9, vec![session(9, 9)]))
        .unwrap();
    assert!(!stage.is_revoked(&token(1)));
    assert!(stage.is_revoked(&token(9)));
}

#[test]
fn half_a_snapshot_leaves_no_trace() {
    let mut stage = Stage::following(FollowOptions::default());
    stage.handle.request();
    let other = opening("log-2", 0, 9, stage.clock.monotonic());
    stage.handle.apply(other).unwrap();
    stage.handle.apply(sessions(0, 5)).unwrap();
    stage.handle.disconnected();
    assert_eq!(stage.revocations.len(), 0);
    // What is tailed next goes into force, not aside.
    stage.opens(0, 0);
    stage.handle.apply(sessions(0, 1)).unwrap();
    assert!(stage.is_revoked(&token(1)));
    assert!(!stage.is_revoked(&token(2)));
}

#[test]
fn a_process_that_stood_still_refuses_its_first_request() {
    let stage = Stage::following(FollowOptions::default().on_stale(OnStale::Refuse));
    assert_eq!(stage.revocations.check(&token(1)), Ok(()));
    stage.clock.advance(SignedDuration::from_secs(60));
    // No tick, no message: nobody had a chance to say so.
    assert_eq!(
        stage.revocations.check(&token(1)),
        Err(RevocationError::Stale)
    );
    assert_eq!(stage.revocations.state(), FeedState::Stale);
}

#[test]
fn a_stale_follower_answers_from_what_it_knows_if_told_to() {
    let mut stage = Stage::following(FollowOptions::default());
    stage.handle.apply(sessions(0, 1)).unwrap();
    stage.clock.advance(SignedDuration::from_secs(60));
    stage.handle.tick();
    assert_eq!(stage.revocations.state(), FeedState::Stale);
    assert_eq!(stage.revocations.check(&token(2)), Ok(()));
    assert!(stage.is_revoked(&token(1)));
}

#[test]
fn a_set_wall_clock_changes_nothing() {
    let stage = Stage::following(FollowOptions::default().on_stale(OnStale::Refuse));
    let before = stage.revocations.issuer_now();
    for hours in [1, -1] {
        let wall = Timestamp::from_second(START_S + hours * 3_600).unwrap();
        stage.clock.set(wall);
        assert_eq!(stage.revocations.issuer_now(), before);
        assert_eq!(stage.revocations.check(&token(1)), Ok(()));
    }
}

#[test]
fn an_issuer_that_leaps_an_hour_ahead_makes_nobody_forget() {
    let mut stage = Stage::following(FollowOptions::default());
    stage.handle.apply(sessions(0, 2_000)).unwrap();
    stage.handle.tick();
    stage.clock.advance(SignedDuration::from_secs(1));
    let leapt = heartbeat(2_000, stage.clock.monotonic() + at_ms(3_600_000));
    stage.handle.apply(leapt).unwrap();
    stage.handle.tick();
    assert_eq!(stage.revocations.len(), 2_000);
}

#[test]
fn more_than_may_be_is_not_believed() {
    let mut stage = Stage::following(FollowOptions::default().max_entries(10));
    stage.handle.apply(sessions(0, 8)).unwrap();
    let resync = stage.handle.apply(sessions(8, 11)).unwrap_err();
    assert_eq!(resync.reason(), "too_many");
    assert_eq!(stage.revocations.len(), 8);
}

#[test]
fn a_subscriber_hears_of_its_own_session_and_of_silence() {
    let mut stage = Stage::following(FollowOptions::default().on_stale(OnStale::Refuse));
    let mut context = Context::from_waker(Waker::noop());
    let mut mine = stage.revocations.subscribe(token(1));
    let mut other = stage.revocations.subscribe(token(2));
    assert_eq!(mine.poll_ended(&mut context), Poll::Pending);
    stage.handle.apply(sessions(0, 1)).unwrap();
    assert_eq!(
        mine.poll_ended(&mut context),
        Poll::Ready(RevocationError::Revoked)
    );
    assert_eq!(other.poll_ended(&mut context), Poll::Pending);
    stage.clock.advance(SignedDuration::from_secs(3));
    assert_eq!(
        other.poll_ended(&mut context),
        Poll::Ready(RevocationError::Stale)
    );
}

/// A reader that has seen a revocation in force sees it for ever, through growth, copies
/// and snapshots, and one that sees "following" sees all of the snapshot.
#[test]
fn readers_never_lose_sight_of_a_revocation() {
    let mut stage = Stage::new(FollowOptions::default());
    let revocations = stage.revocations.clone();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            while revocations.check(&token(1)) == Err(RevocationError::NoSnapshot) {
                std::hint::spin_loop();
            }
            while revocations.check(&token(20_000)).is_ok() {
                assert_eq!(revocations.check(&token(1)), Err(RevocationError::Revoked));
                assert_eq!(revocations.check(&token(99_999)), Ok(()));
            }
        });
        stage.opens(0, 10);
        stage.handle.apply(sessions(0, 10)).unwrap();
        for seq in (10..10_000).step_by(10) {
            stage.handle.apply(sessions(seq, seq + 10)).unwrap();
        }
        stage.opens(0, 20_000);
        stage.handle.apply(sessions(0, 20_000)).unwrap();
        reader.join().unwrap();
    });
}
