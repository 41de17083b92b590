//! What the auth service revokes is over at every gateway, and nothing else is.

use std::time::{Duration, Instant};

use proto::auth::v1::{ListSigningKeysRequest, RevokeSigningKeyRequest, RevokeSubjectRequest};
use token_verifier::OnStale;

use crate::{
    harness::eventually,
    real::{Inside, RealGateway},
    relay::Relay,
};

/// Long enough that nothing expires during a test.
const LONG: Duration = Duration::from_secs(300);
const SHORT: Duration = Duration::from_secs(4);
/// A heartbeat's absence is noticed after two seconds, the least that may be set.
const SILENCE: Duration = Duration::from_secs(2);

/// Until nobody is behind the cookie any more; how long that took.
async fn until_nobody(gateway: &RealGateway, cookie: &str) -> Duration {
    let start = Instant::now();
    eventually(async || gateway.caller(cookie).await.as_deref() == Some("anonymous")).await;
    start.elapsed()
}

#[tokio::test]
async fn a_logout_elsewhere_ends_the_session_here() {
    let inside = Inside::start(LONG).await;
    let first = inside.gateway(inside.auth, |_| {}).await;
    let second = inside.gateway(inside.auth, |_| {}).await;
    let (ann, _, subject) = first.register("ann@example.com").await;
    let (bob, _, of_bob) = first.register("bob@example.com").await;
    for gateway in [&first, &second] {
        assert_eq!(gateway.caller(&ann).await.unwrap(), subject);
        assert_eq!(gateway.caller(&bob).await.unwrap(), of_bob);
    }

    first.log_out(&ann).await;
    // Here at once, there as soon as it is told.
    assert_eq!(first.caller(&ann).await.unwrap(), "anonymous");
    let took = until_nobody(&second, &ann).await;
    assert!(took < Duration::from_secs(2), "{took:?}");

    inside.end(&bob).await;
    for gateway in [&first, &second] {
        until_nobody(gateway, &bob).await;
        assert!(gateway.counted("exchange_revoked_total").await >= 1.0);
    }
}

#[tokio::test]
async fn what_an_operator_revokes_is_over() {
    let inside = Inside::start(LONG).await;
    let gateway = inside.gateway(inside.auth, |_| {}).await;
    let (ann, _, subject) = gateway.register("ann@example.com").await;
    let (bob, _, of_bob) = gateway.register("bob@example.com").await;
    assert_eq!(gateway.caller(&ann).await.unwrap(), subject);
    assert_eq!(gateway.caller(&bob).await.unwrap(), of_bob);
    let request = RevokeSubjectRequest { subject };
    let answer = inside.operator().revoke_subject(request).await.unwrap();
    assert_eq!(answer.into_inner().ended_sessions, 1);
    until_nobody(&gateway, &ann).await;
    assert_eq!(gateway.caller(&bob).await.unwrap(), of_bob);
}

#[tokio::test]
async fn a_revoked_key_costs_its_tokens_and_no_session() {
    let inside = Inside::start(LONG).await;
    let gateway = inside.gateway(inside.auth, |_| {}).await;
    let (ann, _, subject) = gateway.register("ann@example.com").await;
    assert_eq!(gateway.caller(&ann).await.unwrap(), subject);
    let mut stream = gateway.watch("/api/ticks", &ann).await;
    assert_eq!(stream.next().await.unwrap()["subject"], subject);

    let mut operator = inside.operator();
    let keys = operator.list_signing_keys(ListSigningKeysRequest {}).await;
    let keys = keys.unwrap().into_inner().keys;
    let active = keys
        .iter()
        .find(|key| key.activated_at.is_some() && key.retiring_at.is_none())
        .unwrap();
    let request = RevokeSigningKeyRequest {
        kid: active.kid.clone(),
    };
    operator.revoke_signing_key(request).await.unwrap();
    let problem = stream.problem().await;
    assert_eq!(problem["reason"], "AUTHORIZATION_ENDED");
    assert_eq!(problem["status"], 503, "nobody is signed out");
    // The service has to learn of the new key; what it does not know is no sign-out.
    eventually(async || {
        let answer = gateway.tick(&ann).await;
        assert!(
            matches!(answer.status.as_u16(), 200 | 502 | 503),
            "{answer:?}"
        );
        assert!(!answer.sets_cookie());
        answer.status == 200 && answer.json()["subject"] == subject.as_str()
    })
    .await;
    assert!(gateway.counted("exchange_revoked_total").await >= 1.0);
}

#[tokio::test]
async fn an_open_stream_ends_with_its_session() {
    let inside = Inside::start(LONG).await;
    let here = inside.gateway(inside.auth, |_| {}).await;
    let elsewhere = inside.gateway(inside.auth, |_| {}).await;
    let (ann, _, subject) = here.register("ann@example.com").await;
    let (bob, _, of_bob) = here.register("bob@example.com").await;
    let mut streams = Vec::new();
    for gateway in [&here, &elsewhere] {
        let mut stream = gateway.watch("/api/ticks", &ann).await;
        assert_eq!(stream.next().await.unwrap()["subject"], subject);
        streams.push(stream);
    }
    let mut bobs = here.watch("/api/ticks", &bob).await;
    // One that has not said anything yet has no answer's head either.
    let silent = async {
        let answer = here.get("/api/silence", &ann).await;
        (answer.status.as_u16(), answer.reason())
    };
    let log_out = async {
        here.log_out(&ann).await;
        for mut stream in streams {
            assert_eq!(stream.problem().await["reason"], "AUTHORIZATION_ENDED");
        }
    };
    let (silent, ()) = tokio::join!(silent, log_out);
    assert!(
        silent == (503, "AUTHORIZATION_ENDED".to_owned()) || silent.0 == 504,
        "{silent:?}"
    );
    for _ in 0..3 {
        assert_eq!(bobs.next().await.unwrap()["subject"], of_bob);
    }
    let ended = here.counted("streams_ended_total").await;
    assert!(ended >= 1.0, "{ended}");
}

#[tokio::test]
async fn a_gateway_that_stops_still_hears_of_revocations() {
    let inside = Inside::start(LONG).await;
    let gateway = inside.gateway(inside.auth, |_| {}).await;
    let (ann, _, subject) = gateway.register("ann@example.com").await;
    let mut stream = gateway.watch("/api/ticks", &ann).await;
    assert_eq!(stream.next().await.unwrap()["subject"], subject);

    gateway.stop.cancel();
    eventually(async || !gateway.is_ready().await).await;
    inside.end(&ann).await;
    let ended = Instant::now();
    assert_eq!(stream.problem().await["reason"], "AUTHORIZATION_ENDED");
    let took = ended.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_stream_outlives_its_token_as_long_as_it_is_renewed() {
    let inside = Inside::start(SHORT).await;
    let relay = Relay::to(inside.auth).await;
    let gateway = inside.gateway(relay.address, |_| {}).await;
    let (ann, _, subject) = gateway.register("ann@example.com").await;
    let start = Instant::now();
    let mut stream = gateway.watch("/api/ticks", &ann).await;
    // Longer than the service's leeway lets the first token live, too.
    while start.elapsed() < SHORT * 2 + Duration::from_secs(5) {
        assert_eq!(stream.next().await.unwrap()["subject"], subject);
    }
    let renewals = gateway.counted("stream_renewals_total").await;
    assert!(renewals >= 3.0, "{renewals}");

    // Without the auth service no other token comes, and the last one's life is the bound.
    relay.cut();
    let cut = Instant::now();
    let problem = stream.problem().await;
    assert_eq!(problem["reason"], "AUTHORIZATION_ENDED");
    assert!(cut.elapsed() <= SHORT + Duration::from_secs(1));
}

#[tokio::test]
async fn without_the_feed_a_token_is_used_until_it_expires_and_no_longer() {
    let inside = Inside::start(SHORT).await;
    let relay = Relay::to(inside.auth).await;
    let gateway = inside
        .gateway(relay.address, |config| {
            config.revocations.heartbeat_timeout = SILENCE;
        })
        .await;
    let (ann, _, subject) = gateway.register("ann@example.com").await;
    let (bob, _, of_bob) = gateway.register("bob@example.com").await;
    assert_eq!(gateway.caller(&ann).await.unwrap(), subject);
    assert_eq!(gateway.caller(&bob).await.unwrap(), of_bob);

    relay.cut();
    inside.end(&ann).await;
    let cut = Instant::now();
    // The promise: while nobody can be told, for a token's life and no longer.
    eventually(async || {
        let answer = gateway.tick(&ann).await;
        if answer.status == 200 {
            assert_eq!(answer.json()["subject"], subject);
            assert!(cut.elapsed() <= SHORT, "{:?}", cut.elapsed());
        }
        answer.status != 200
    })
    .await;
    for cookie in [&ann, &bob] {
        // An outage, and not a logout.
        eventually(async || gateway.tick(cookie).await.status == 503).await;
        let answer = gateway.tick(cookie).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.headers.contains_key("retry-after"));
        assert!(!answer.sets_cookie());
    }

    relay.mend();
    eventually(async || gateway.caller(&bob).await.as_deref() == Some(&of_bob)).await;
    until_nobody(&gateway, &ann).await;
}

#[tokio::test]
async fn without_the_feed_nothing_is_used_if_the_settings_refuse() {
    let inside = Inside::start(LONG).await;
    let relay = Relay::to(inside.auth).await;
    let gateway = inside
        .gateway(relay.address, |config| {
            config.revocations.heartbeat_timeout = SILENCE;
            config.revocations.on_stale = OnStale::Refuse;
        })
        .await;
    let (ann, _, subject) = gateway.register("ann@example.com").await;
    assert_eq!(gateway.caller(&ann).await.unwrap(), subject);
    let mut stream = gateway.watch("/api/ticks", &ann).await;
    assert_eq!(stream.next().await.unwrap()["subject"], subject);

    relay.cut();
    let cut = Instant::now();
    eventually(async || gateway.tick(&ann).await.status == 503).await;
    assert!(
        cut.elapsed() <= SILENCE + Duration::from_secs(2),
        "{:?}",
        cut.elapsed()
    );
    let answer = gateway.tick(&ann).await;
    assert_eq!(answer.reason(), "REVOCATIONS_UNAVAILABLE");
    assert!(answer.headers.contains_key("retry-after"));
    assert!(!answer.sets_cookie());
    assert_eq!(stream.problem().await["reason"], "REVOCATIONS_UNAVAILABLE");
    eventually(async || !gateway.is_ready().await).await;

    relay.mend();
    eventually(async || gateway.is_ready().await).await;
    assert_eq!(gateway.caller(&ann).await.unwrap(), subject);
}

#[tokio::test]
async fn a_gateway_that_starts_alone_is_ready_when_it_knows() {
    let inside = Inside::start(LONG).await;
    let relay = Relay::to(inside.auth).await;
    relay.cut();
    let gateway = inside.unready_gateway(relay.address, |_| {}).await;
    let cookie = "A".repeat(43);
    for _ in 0..10 {
        let answer = gateway.tick(&cookie).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.headers.contains_key("retry-after"));
        assert!(!answer.sets_cookie());
        assert!(!gateway.is_ready().await);
    }
    relay.mend();
    eventually(async || gateway.is_ready().await).await;
    assert_eq!(gateway.caller(&cookie).await.unwrap(), "anonymous");
}
