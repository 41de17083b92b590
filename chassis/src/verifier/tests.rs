use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use jiff::Timestamp;
use token_verifier::ManualClock;
use token_verifier::testing::TestIssuer;
use tokio::net::TcpListener;
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
    let settings = TokenSettings::new(ISSUER, "cart-service", &url).unwrap();
    let clock = Arc::new(ManualClock::at(now));
    let verifier = start(
        settings,
        clock,
        metrics.clone(),
        readiness.clone(),
        shutdown,
    );
    assert_eq!(readiness.not_ready_names(), ["keys"]);
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
    tokio::spawn(crate::http::serve(
        listener,
        service,
        limits,
        CancellationToken::new(),
    ));
    format!("http://{address}/jwks.json")
}
