use std::convert::Infallible;
use std::path::Path;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use jiff::Timestamp;
use token_verifier::ManualClock;
use token_verifier::testing::{TestFeed, TestIssuer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use super::*;
use crate::settings::{self, Sources};

const ISSUER: &str = "http://issuer";
const SUBJECT: &str = "usr_0196f3a2-7c1e-7000-8000-0123456789ab";

#[tokio::test]
async fn verifies_once_the_keys_are_there_and_counts_why_not() {
    let issuer = TestIssuer::new(ISSUER);
    let url = publish(issuer.jwks_json()).await;
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let metrics = Metrics::new("test");
    let readiness = Readiness::new();
    let shutdown = CancellationToken::new();
    let clock = Arc::new(ManualClock::at(now));
    let feed = TestFeed::start(clock.clone()).await;
    let files = tempfile::tempdir().unwrap();
    let settings = settings(&url, &feed, files.path());
    let verifier = start(settings, clock, &metrics, &readiness, &until(shutdown)).unwrap();
    assert_eq!(readiness.not_ready_names(), ["keys", "revocations"]);
    readiness.ready().await;
    let token = issuer.token("cart-service", SUBJECT, now);
    assert_eq!(verifier.verify(&token).unwrap().subject().as_str(), SUBJECT);
    let elsewhere = issuer.token("profile-service", SUBJECT, now);
    assert_eq!(
        verifier.verify(&elsewhere).unwrap_err().reason(),
        "wrong_audience"
    );
    for (name, reason, count) in [
        ("token_verifications", "reason=\"ok\"", 1),
        ("token_verifications", "reason=\"wrong_audience\"", 1),
        ("token_verifications", "reason=\"expired\"", 0),
        ("jwks_fetches", "outcome=\"ok\"", 1),
    ] {
        let text = metrics.encode();
        let counted = text.lines().any(|line| {
            line.starts_with(&format!("latchkey_{name}_total{{"))
                && line.contains(reason)
                && line.ends_with(&format!(" {count}"))
        });
        assert!(counted, "{name} {reason}: {text}");
    }
}

#[tokio::test]
async fn keys_that_the_feed_announces_are_believed_at_once() {
    let (old, new) = (TestIssuer::new(ISSUER), TestIssuer::new(ISSUER));
    let url = publish(old.jwks_json()).await;
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let clock = Arc::new(ManualClock::at(now));
    let feed = TestFeed::start(clock.clone()).await;
    let files = tempfile::tempdir().unwrap();
    let settings = settings(&url, &feed, files.path());
    let (metrics, readiness) = (Metrics::new("test"), Readiness::new());
    let shutdown = CancellationToken::new();
    let verifier = start(settings, clock, &metrics, &readiness, &until(shutdown)).unwrap();
    readiness.ready().await;
    let token = new.token("cart-service", SUBJECT, now);
    assert_eq!(verifier.verify(&token).unwrap_err().reason(), "unknown_kid");

    feed.key_set(new.jwks_json());
    within(async {
        while verifier.verify(&token).is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_service_starts_with_the_keys_of_its_last_life() {
    let issuer = TestIssuer::new(ISSUER);
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let clock = Arc::new(ManualClock::at(now));
    let feed = TestFeed::start(clock.clone()).await;
    let files = tempfile::tempdir().unwrap();
    let token = issuer.token("cart-service", SUBJECT, now);
    let issuer_stop = CancellationToken::new();
    let url = publish_until(issuer.jwks_json(), issuer_stop.clone()).await;
    for _life in 0..2 {
        let settings = settings(&url, &feed, files.path());
        let saved = settings.saved_jwks.clone();
        let (metrics, readiness) = (Metrics::new("test"), Readiness::new());
        let shutdown = CancellationToken::new();
        let _stop = shutdown.clone().drop_guard();
        let verifier = start(
            settings,
            clock.clone(),
            &metrics,
            &readiness,
            &until(shutdown),
        )
        .unwrap();
        within(readiness.ready()).await;
        verifier.verify(&token).unwrap();
        within(async {
            while !saved.exists() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        issuer_stop.cancel();
    }
}

/// For what happens within milliseconds.
async fn within<T>(work: impl Future<Output = T>) -> T {
    let in_time = tokio::time::timeout(Duration::from_secs(10), work).await;
    in_time.expect("it happens at once")
}

#[tokio::test]
async fn a_key_file_that_others_may_read_stops_the_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    let feed = TestFeed::start(clock.clone()).await;
    let files = tempfile::tempdir().unwrap();
    let settings = settings("http://127.0.0.1:1/", &feed, files.path());
    let file = &settings.revocations.workload_key_file;
    crate::workload::WorkloadKey::load_or_create(file).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (metrics, readiness) = (Metrics::new("test"), Readiness::new());
    let refused = start(
        settings,
        clock,
        &metrics,
        &readiness,
        &until(CancellationToken::new()),
    );
    assert!(
        matches!(refused, Err(RevocationsError::Key(_))),
        "{refused:?}"
    );
}

/// Work that stops no program.
fn until(stop: CancellationToken) -> Vital {
    Vital::new(stop, CancellationToken::new())
}

fn settings(jwks_url: &str, feed: &TestFeed, files: &Path) -> TokenSettings {
    let key = files.join("workload.pem");
    let revocations = RevocationSettings::new(&feed.address(), "cart-service", key);
    let saved = files.join("jwks.json");
    TokenSettings::new(ISSUER, "cart-service", jwks_url, saved, revocations).unwrap()
}

#[test]
fn settings_have_a_well_known_default_and_name_a_bad_address() {
    let read = |text| {
        let sources = Sources::from_toml("c.toml", text);
        settings::read(sources, |section| {
            TokenSettings::read(section, "cart-service")
        })
    };
    let defaults = read("").unwrap();
    assert_eq!(
        defaults.jwks_url,
        "http://localhost:8081/.well-known/jwks.json"
    );
    assert_eq!(defaults.audience, "cart-service");
    assert_eq!(defaults.saved_jwks, Path::new("cart-service.jwks.json"));
    let elsewhere = read("issuer = 'http://auth/'").unwrap();
    assert_eq!(elsewhere.jwks_url, "http://auth/.well-known/jwks.json");
    let problems = read("jwks_url = 'ftp://x/'\naudience = ''")
        .unwrap_err()
        .to_string();
    assert!(
        problems.contains("audience: is empty (c.toml:2)"),
        "{problems}"
    );
    assert!(
        problems.contains("jwks_url: ") && problems.contains("(c.toml:1)"),
        "{problems}"
    );
}

#[test]
fn settings_refuse_times_that_would_do_harm() {
    let read = |text| {
        let sources = Sources::from_toml("c.toml", text);
        settings::read(sources, |section| {
            TokenSettings::read(section, "cart-service")
        })
    };
    assert!(read("min_fetch_interval = '1s'\nmax_stale = '1m'").is_ok());
    assert!(read("max_stale = '7d'").is_ok());
    let too_long = read("max_stale = '169h'").unwrap_err().to_string();
    assert!(
        too_long.contains("max_stale: is more than 7 d"),
        "{too_long}"
    );
    for text in [
        "min_fetch_interval = '999ms'\nmax_stale = '59s'\naudience = ''",
        "min_fetch_interval = '0s'\nmax_stale = '0s'\naudience = ''",
    ] {
        let problems = read(text).unwrap_err().to_string();
        for expected in [
            "min_fetch_interval: is less than 1 s (c.toml:1)",
            "max_stale: is less than 60 s (c.toml:2)",
            "audience: is empty (c.toml:3)",
        ] {
            assert!(problems.contains(expected), "{text}: {problems}");
        }
    }
}

async fn publish(jwks: String) -> String {
    publish_until(jwks, CancellationToken::new()).await
}

async fn publish_until(jwks: String, stop: CancellationToken) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = service_fn(move |_: Request<hyper::body::Incoming>| {
        let body = Full::new(Bytes::from(jwks.clone()));
        let response = Response::builder()
            .header("content-type", "application/json")
            .body(body);
        std::future::ready(Ok::<_, Infallible>(response.unwrap()))
    });
    let limits = crate::http::Limits::default();
    tokio::spawn(crate::http::serve(listener, service, limits, stop));
    format!("http://{address}/jwks.json")
}
