//! Keys over a real HTTP server: rotation, outage, recovery. When the driver fetches is
//! tested in paused time in `src/remote/tests.rs`.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proto::auth::v1::watch_response::Event;
use proto::auth::v1::{Heartbeat, KeySet, Opening, WatchResponse};
use serde_json::json;
use token_verifier::testing::TestIssuer;
use token_verifier::{
    Clock as _, FollowOptions, Keys, ManualClock, RemoteOptions, Revocations, TokenVerifier,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::stage::{AUDIENCE, ISSUER, USER, expectations, now};

/// What the server publishes, if it is up; and how often it answered 304.
#[derive(Default)]
struct Published {
    document: Option<String>,
    unchanged: usize,
}

type Shared = Arc<Mutex<Published>>;

fn answer(published: &Shared, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let mut published = published.lock().unwrap();
    let mut response = Response::new(Full::default());
    let Some(document) = published.document.clone() else {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return response;
    };
    let etag = format!("\"{}\"", document.len());
    let held = request.headers().get(IF_NONE_MATCH);
    if held.is_some_and(|held| held.as_bytes() == etag.as_bytes()) {
        published.unchanged += 1;
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(ETAG, etag.parse().unwrap());
    headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
    headers.insert(CACHE_CONTROL, "max-age=300".parse().unwrap());
    *response.body_mut() = document.into();
    response
}

async fn publish(published: Shared) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/.well-known/jwks.json",
        listener.local_addr().unwrap()
    );
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let published = Arc::clone(&published);
            let service = service_fn(move |request| {
                let response = answer(&published, &request);
                async { Ok::<_, Infallible>(response) }
            });
            let serve = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(connection), service);
            tokio::spawn(serve);
        }
    });
    url
}

/// A verifier of what is published at `url`, and word of each fetch.
fn verifier(url: &str) -> (TokenVerifier, UnboundedReceiver<Result<(), String>>) {
    let (tell, fetches) = unbounded_channel();
    let options = RemoteOptions::new(url)
        .unwrap()
        .min_interval(Duration::ZERO)
        .on_fetch(move |outcome| drop(tell.send(outcome.map_err(ToString::to_string))));
    let (keys, driver) = Keys::remote(options);
    tokio::spawn(driver);
    let clock = Arc::new(ManualClock::at(now()));
    (TokenVerifier::new(expectations(), keys, clock), fetches)
}

fn token(issuer: &TestIssuer) -> String {
    issuer.token(AUDIENCE, USER, now())
}

fn document(issuers: &[&TestIssuer]) -> String {
    json!({ "keys": issuers.iter().map(|issuer| issuer.jwk()).collect::<Vec<_>>() }).to_string()
}

// KR-01, TJ-22.
#[tokio::test]
async fn follows_a_rotation_and_survives_an_outage() {
    let (old, new) = (TestIssuer::new(ISSUER), TestIssuer::es256(ISSUER));
    let published = Shared::default();
    published.lock().unwrap().document = Some(document(&[&old]));
    let (verifier, mut fetches) = verifier(&publish(Arc::clone(&published)).await);
    fetches.recv().await.unwrap().unwrap();
    assert!(verifier.is_ready());
    verifier.verify(&token(&old)).unwrap();

    // A token of a key not yet published rings, and the set turns out to be current.
    assert_eq!(
        verifier.verify(&token(&new)).unwrap_err().reason(),
        "unknown_kid"
    );
    fetches.recv().await.unwrap().unwrap();
    assert_eq!(published.lock().unwrap().unchanged, 1);
    verifier.verify(&token(&old)).unwrap();

    published.lock().unwrap().document = Some(document(&[&old, &new]));
    assert_eq!(
        verifier.verify(&token(&new)).unwrap_err().reason(),
        "unknown_kid"
    );
    fetches.recv().await.unwrap().unwrap();
    verifier.verify(&token(&new)).unwrap();
    verifier.verify(&token(&old)).unwrap();

    published.lock().unwrap().document = None;
    let stranger = TestIssuer::new(ISSUER);
    assert_eq!(
        verifier.verify(&token(&stranger)).unwrap_err().reason(),
        "unknown_kid"
    );
    let error = fetches.recv().await.unwrap().unwrap_err();
    assert!(error.contains("503"), "{error}");
    verifier.verify(&token(&new)).unwrap();
    assert!(verifier.is_ready());
}

// FT-09: an empty set at start is no set.
#[tokio::test]
async fn is_not_ready_with_an_empty_set_and_recovers() {
    let issuer = TestIssuer::new(ISSUER);
    let published = Shared::default();
    published.lock().unwrap().document = Some(document(&[]));
    let (verifier, mut fetches) = verifier(&publish(Arc::clone(&published)).await);
    fetches.recv().await.unwrap().unwrap_err();
    assert!(!verifier.is_ready());
    let error = verifier.verify(&token(&issuer)).unwrap_err();
    assert_eq!(error.reason(), "keys_unavailable");
    published.lock().unwrap().document = Some(document(&[&issuer]));
    while fetches.recv().await.unwrap().is_err() {}
    verifier.verify(&token(&issuer)).unwrap();
}

// Who follows the feed needs no address to answer: each heartbeat says that the keys are
// still the same.
#[tokio::test(start_paused = true)]
async fn the_feed_alone_keeps_its_keys_good() {
    const MAX_STALE: Duration = Duration::from_secs(10);
    let (issuer, clock) = (TestIssuer::new(ISSUER), ManualClock::at(now()));
    let options = RemoteOptions::new("http://127.0.0.1:1/jwks").unwrap();
    // The driver never runs.
    let (keys, _driver) = Keys::remote(options.max_stale(MAX_STALE));
    let options = FollowOptions::default().keys(keys.clone());
    let (_revocations, mut handle) = Revocations::manual(options, Arc::new(clock.clone()));
    let _request = handle.request();
    let mut says = |event| {
        let event = Some(event);
        handle.apply(WatchResponse { event }).unwrap();
    };
    let opening = Opening {
        log_id: "log".to_owned(),
        now_us: clock.now().as_microsecond(),
        ..Opening::default()
    };
    says(Event::Opening(opening));
    assert!(!keys.is_ready());
    let jwks = issuer.jwks_json().into();
    says(Event::KeySet(KeySet { jwks }));
    let second = Duration::from_secs(1);
    for _ in 0..3 * MAX_STALE.as_secs() {
        clock.advance(second);
        tokio::time::advance(second).await;
        assert!(keys.is_ready());
        let now_us = clock.now().as_microsecond();
        says(Event::Heartbeat(Heartbeat {
            head_seq: 0,
            now_us,
        }));
    }
    tokio::time::advance(MAX_STALE).await;
    assert!(!keys.is_ready());
}
