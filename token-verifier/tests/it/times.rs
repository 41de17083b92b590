//! TJ-06, FT-06: too late, too early, and just in time.

use jiff::{SignedDuration, Timestamp};
use token_verifier::LEEWAY;

use crate::stage::{Stage, now};

/// Checks a good token (60 s) at `offset` from its issue.
#[track_caller]
fn check(stage: &Stage, token: &str, offset: SignedDuration, expected: &str) {
    stage.clock.set(now().checked_add(offset).unwrap());
    match expected {
        "ok" => drop(stage.accepts(token)),
        reason => drop(stage.rejects(token, reason)),
    }
}

const NANOSECOND: SignedDuration = SignedDuration::from_nanos(1);
const MINUTE: SignedDuration = SignedDuration::from_secs(60);

#[test]
fn rejects_expired() {
    let stage = Stage::new();
    check(&stage, &stage.token(), MINUTE + LEEWAY, "expired");
    check(&stage, &stage.token(), MINUTE + LEEWAY - NANOSECOND, "ok");
    check(
        &stage,
        &stage.token(),
        SignedDuration::from_hours(24),
        "expired",
    );
}

#[test]
fn rejects_expired_when_it_was_good_a_moment_ago() {
    let stage = Stage::new();
    let token = stage.token();
    check(&stage, &token, MINUTE, "ok");
    check(&stage, &token, MINUTE + LEEWAY, "expired");
}

#[test]
fn rejects_issued_in_the_future() {
    let stage = Stage::new();
    check(&stage, &stage.token(), -LEEWAY, "ok");
    check(
        &stage,
        &stage.token(),
        -LEEWAY - NANOSECOND,
        "not_yet_valid",
    );
}

#[test]
fn rejects_before_nbf() {
    let stage = Stage::new();
    let token = stage.with_claim("nbf", now().as_second() + 30);
    check(&stage, &token, SignedDuration::ZERO, "not_yet_valid");
    check(&stage, &token, SignedDuration::from_secs(25), "ok");
    // An early nbf does not excuse a late iat.
    let token = stage.with_claim("nbf", 1);
    check(&stage, &token, -MINUTE, "not_yet_valid");
}

#[test]
fn rejects_expiry_before_issue() {
    let stage = Stage::new();
    stage.rejects(&stage.with_claim("exp", now().as_second()), "expired");
    stage.rejects(&stage.with_claim("exp", now().as_second() - 1), "expired");
}

#[test]
fn survives_clocks_at_the_ends_of_time() {
    let stage = Stage::new();
    let token = stage.token();
    stage.clock.set(Timestamp::MAX);
    stage.rejects(&token, "expired");
    stage.clock.set(Timestamp::MIN);
    stage.rejects(&token, "not_yet_valid");
    stage.clock.set(now());
    stage.rejects(
        &stage.with_claim("nbf", Timestamp::MAX.as_second()),
        "not_yet_valid",
    );
}

#[test]
fn leeway_is_a_small_part_of_a_lifetime() {
    assert!(LEEWAY <= SignedDuration::from_secs(30));
}
