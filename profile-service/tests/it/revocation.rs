//! What the auth service revokes is refused here, and nothing is served unknowing.

use std::time::Duration;

use jiff::SignedDuration;
use proto::profile::v1::GetProfileRequest;
use token_verifier::OnStale;
use tonic::Code;

use crate::harness::{ALICE, BOB, Program, with};

const LAPTOP: &str = "018f4e2a-7b1c-7d3e-8f40-0000000000a1";
const PHONE: &str = "018f4e2a-7b1c-7d3e-8f40-0000000000a2";
/// For what happens within milliseconds.
const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_revoked_session_is_refused_and_no_other() {
    let program = Program::start().await;
    let laptop = program.token_of(ALICE, LAPTOP);
    let phone = program.token_of(ALICE, PHONE);
    assert_eq!(call(&program, &laptop).await, Code::Ok);

    program.feed.revoke_session(LAPTOP);
    becomes(&program, &laptop, Code::Unauthenticated).await;
    assert_eq!(call(&program, &phone).await, Code::Ok);
    let later = program.token_of(ALICE, LAPTOP);
    assert_eq!(call(&program, &later).await, Code::Unauthenticated);
    assert!(program.counted("reason=\"revoked\"").await);
}

#[tokio::test]
async fn a_revoked_subject_is_refused_for_what_it_had_and_welcome_again() {
    let program = Program::start().await;
    let (alice, bob) = (program.token(ALICE), program.token(BOB));
    program
        .feed
        .revoke_subject(ALICE, program.now().as_second() + 1);
    becomes(&program, &alice, Code::Unauthenticated).await;
    assert_eq!(call(&program, &bob).await, Code::Ok);
    program.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(call(&program, &program.token(ALICE)).await, Code::Ok);
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_though_it_is_still_published() {
    let program = Program::start().await;
    let token = program.token(ALICE);
    program.feed.revoke_key(program.issuer.kid());
    becomes(&program, &token, Code::Unauthenticated).await;
}

#[tokio::test]
async fn without_a_snapshot_it_is_not_ready_and_serves_nobody() {
    let program = Program::start_without_revocations().await;
    program.has_keys().await;
    let token = program.token_of(ALICE, LAPTOP);
    assert_eq!(call(&program, &token).await, Code::Unavailable);
    let ready = program.operations("/readyz").await;
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.contains("revocations"),
        "{ready}"
    );

    program.feed.revoke_session(LAPTOP);
    program.feed.heal();
    program.ready().await;
    assert_eq!(call(&program, &token).await, Code::Unauthenticated);
    let other = program.token_of(ALICE, PHONE);
    assert_eq!(call(&program, &other).await, Code::Ok);
}

#[tokio::test]
async fn what_is_revoked_while_the_feed_is_cut_is_refused_once_it_heals() {
    let program = Program::start().await;
    let laptop = program.token_of(ALICE, LAPTOP);
    program.feed.cut();
    program.feed.revoke_session(LAPTOP);
    // Until its expiry: that is what the service is told to do, and no longer.
    assert_eq!(call(&program, &laptop).await, Code::Ok);
    program.feed.heal();
    becomes(&program, &laptop, Code::Unauthenticated).await;
}

#[tokio::test]
async fn a_silent_feed_closes_a_service_that_is_told_so_and_heals() {
    let program = Program::start_with(|config| {
        config.tokens.revocations.stale.on_stale = OnStale::Refuse;
    })
    .await;
    let token = program.token(ALICE);
    assert_eq!(call(&program, &token).await, Code::Ok);
    program.feed.cut();
    program.clock.advance(SignedDuration::from_secs(4));
    assert_eq!(call(&program, &token).await, Code::Unavailable);
    program.feed.heal();
    becomes(&program, &token, Code::Ok).await;
}

/// How a call with this token ends.
async fn call(program: &Program, token: &str) -> Code {
    let answer = program
        .client()
        .await
        .get_profile(with(token, GetProfileRequest {}))
        .await;
    answer.map_or_else(|refused| refused.code(), |_| Code::Ok)
}

/// Calls until it ends so. Each call is a round trip to a real port.
async fn becomes(program: &Program, token: &str, expected: Code) {
    let calls = async {
        while call(program, token).await != expected {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(LIMIT, calls).await;
    assert!(in_time.is_ok(), "waited {LIMIT:?} for {expected:?}");
}
