//! Tokens that were good until somebody revoked them.

use serde_json::Value;

use super::*;
use crate::revocations::fixtures::{
    LOG, at_ms, batch, heartbeat, key, opening, session, session_id, subject,
};
use crate::{FollowOptions, FollowerHandle, OnStale};

const USER: &str = "usr_018f4c1e-7b1a-7c3d-8e5f-0a1b2c3d4e5f";

struct Stage {
    issuer: TestIssuer,
    clock: ManualClock,
    handle: FollowerHandle,
    verifier: TokenVerifier,
}

impl Stage {
    fn unready(options: FollowOptions) -> Self {
        Self::of(TestIssuer::new("http://issuer"), options)
    }

    fn of(issuer: TestIssuer, options: FollowOptions) -> Self {
        let clock = ManualClock::at(now());
        let (revocations, handle) = Revocations::manual(options, Arc::new(clock.clone()));
        let expectations = Expectations {
            issuer: "http://issuer".to_owned(),
            audience: "cart-service".to_owned(),
        };
        let keys = Keys::fixed(issuer.key_set());
        let verifier = TokenVerifier::new(expectations, keys, Arc::new(clock.clone()))
            .with_revocations(revocations);
        Self {
            issuer,
            clock,
            handle,
            verifier,
        }
    }

    fn following(options: FollowOptions) -> Self {
        let mut stage = Self::unready(options);
        stage.opens();
        stage
    }

    fn opens(&mut self) {
        self.handle.request();
        let message = opening(LOG, 0, 0, self.clock.monotonic());
        self.handle.apply(message).unwrap();
    }

    fn beats(&mut self, head: u64) {
        let message = heartbeat(head, self.clock.monotonic());
        self.handle.apply(message).unwrap();
    }

    fn claims(&self, number: u64) -> Value {
        let mut claims = self.issuer.default_claims("cart-service", USER, now());
        claims["sid"] = session_id(number).into();
        claims
    }

    fn token(&self, number: u64) -> String {
        self.issuer
            .token_with(self.issuer.default_header(), self.claims(number))
    }

    #[track_caller]
    fn rejects(&self, token: &str, reason: &str) {
        // Twice, so that nothing wrong is remembered as right.
        for _ in 0..2 {
            let error = self.verifier.verify(token).unwrap_err();
            assert_eq!(error.reason(), reason);
        }
    }

    #[track_caller]
    fn accepts(&self, token: &str) {
        self.verifier.verify(token).unwrap();
    }
}

#[test]
fn rejects_everything_before_a_snapshot_and_nothing_good_after() {
    let mut stage = Stage::unready(FollowOptions::default());
    let token = stage.token(1);
    assert!(!stage.verifier.is_ready());
    stage.rejects(&token, "revocations_unavailable");
    stage.opens();
    assert!(stage.verifier.is_ready());
    stage.accepts(&token);
}

#[test]
fn a_token_that_is_wrong_anyway_is_told_so_before_a_snapshot() {
    let stage = Stage::unready(FollowOptions::default());
    let other = TestIssuer::new("http://issuer");
    stage.rejects(&other.token("cart-service", USER, now()), "unknown_kid");
}

#[test]
fn rejects_a_remembered_token_once_its_session_is_revoked() {
    let mut stage = Stage::following(FollowOptions::default());
    let (revoked, other) = (stage.token(1), stage.token(2));
    stage.accepts(&revoked);
    stage.accepts(&other);
    stage
        .handle
        .apply(batch(0, 1, vec![session(1, 1)]))
        .unwrap();
    stage.rejects(&revoked, "revoked");
    stage.accepts(&other);
}

#[test]
fn rejects_by_subject_and_by_key() {
    let mut by_subject = Stage::following(FollowOptions::default());
    let token = by_subject.token(1);
    let later = subject(1, USER, NOW);
    by_subject.handle.apply(batch(0, 1, vec![later])).unwrap();
    by_subject.accepts(&token);
    let earlier = subject(2, USER, NOW + 1);
    by_subject.handle.apply(batch(1, 2, vec![earlier])).unwrap();
    by_subject.rejects(&token, "revoked");

    let mut by_key = Stage::following(FollowOptions::default());
    let token = by_key.token(1);
    by_key.accepts(&token);
    let kid = by_key.issuer.kid().to_owned();
    by_key
        .handle
        .apply(batch(0, 1, vec![key(1, &kid)]))
        .unwrap();
    by_key.rejects(&token, "revoked");
}

#[test]
fn rejects_a_revoked_sessions_token_however_it_is_signed_or_spelled() {
    let issuer = TestIssuer::es256("http://issuer");
    let mut stage = Stage::of(issuer, FollowOptions::default());
    stage.opens();
    stage
        .handle
        .apply(batch(0, 1, vec![session(1, 1)]))
        .unwrap();
    // ES256 signs anew each time.
    let claims = stage.claims(1);
    for _ in 0..3 {
        let header = stage.issuer.default_header();
        stage.rejects(&stage.issuer.token_with(header, claims.clone()), "revoked");
    }
    let mut another = claims.clone();
    another["jti"] = "another".into();
    let mut shouted = claims.clone();
    shouted["sid"] = session_id(1).to_uppercase().into();
    for claims in [another, shouted] {
        let header = stage.issuer.default_header();
        stage.rejects(&stage.issuer.token_with(header, claims), "revoked");
    }
    let spaced = serde_json::to_string_pretty(&claims).unwrap();
    let header = stage.issuer.default_header().to_string();
    stage.rejects(&stage.issuer.sign(header, spaced), "revoked");
}

#[test]
fn a_set_wall_clock_neither_refuses_the_good_nor_raises_the_dead() {
    for hours in [1, -1] {
        let mut stage = Stage::following(FollowOptions::default());
        let token = stage.token(1);
        let wall = now() + SignedDuration::from_hours(hours);
        stage.clock.set(wall);
        stage.accepts(&token);
        stage.clock.advance(SignedDuration::from_secs(64));
        stage.accepts(&token);
        stage.clock.advance(SignedDuration::from_secs(1));
        stage.rejects(&token, "expired");
        stage.clock.set(now() - SignedDuration::from_hours(1));
        stage.rejects(&token, "expired");
        stage.handle.disconnected();
        stage.opens();
        stage.rejects(&token, "expired");
    }
}

#[test]
fn a_silent_feed_is_answered_from_until_expiry() {
    let mut stage = Stage::following(FollowOptions::default());
    let (revoked, good) = (stage.token(1), stage.token(2));
    stage
        .handle
        .apply(batch(0, 1, vec![session(1, 1)]))
        .unwrap();
    stage.clock.advance(SignedDuration::from_secs(60));
    stage.accepts(&good);
    stage.rejects(&revoked, "revoked");
    stage.clock.advance(SignedDuration::from_secs(5));
    stage.rejects(&good, "expired");
    assert!(stage.verifier.is_ready());
}

#[test]
fn a_silent_feed_refuses_if_it_is_told_to_and_forgets_nobody() {
    let options = FollowOptions::default().on_stale(OnStale::Refuse);
    let mut stage = Stage::following(options);
    let token = stage.token(1);
    stage.accepts(&token);
    stage.clock.advance(at_ms(3_000));
    stage.rejects(&token, "revocations_unavailable");
    assert_eq!(stage.verifier.remembered.len(), 1);
    stage.handle.disconnected();
    stage.opens();
    stage.beats(0);
    stage.accepts(&token);
}
