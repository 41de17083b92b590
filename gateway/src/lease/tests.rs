//! Under tokio's own paused time, with the service at the other end of a pipe.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use chassis::Clock;
use futures::{FutureExt as _, future::BoxFuture};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use token_verifier::Revocations;
use tokio::time::Instant;
use tonic::{
    Status,
    service::Routes,
    transport::{Channel, Endpoint, Server},
};

use super::*;
use crate::{
    credential::SessionSecret,
    exchange::{
        ExchangeMetrics, ExchangeSettings, Issued, IssuedSession, SessionKind, TokenSource,
    },
    upstream::testing::{headers, upstream},
};

const LIFE: Duration = Duration::from_secs(60);

/// A clock that goes with tokio's.
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Gives tokens until it is told not to.
#[derive(Default)]
struct Tokens {
    asked: AtomicUsize,
    refuses: Mutex<Option<ExchangeError>>,
}

impl TokenSource for Tokens {
    fn exchange(
        &self,
        _secret: SessionSecret,
        _audience: Arc<str>,
    ) -> BoxFuture<'_, Result<Issued, ExchangeError>> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let refuses = self.refuses.lock().unwrap().clone();
        let issued = Issued {
            access_token: format!("token-{number}"),
            expires_in: LIFE,
            key_id: "kid".into(),
            issued_at: Timestamp::UNIX_EPOCH,
            session: Some(IssuedSession {
                kind: SessionKind::User,
                id: "session".into(),
                subject: "usr_1".into(),
            }),
        };
        std::future::ready(refuses.map_or(Ok(issued), Err)).boxed()
    }

    fn anonymous(&self, _audience: Arc<str>) -> BoxFuture<'_, Result<Issued, ExchangeError>> {
        unreachable!("nobody is anonymous here")
    }
}

/// A service that is shown tokens.
#[derive(Clone, Default)]
struct Guard {
    shown: Arc<Mutex<Vec<String>>>,
    refuses: Arc<Mutex<Option<Status>>>,
}

impl Guard {
    fn channel(&self) -> Channel {
        let guard = self.clone();
        let router = axum::Router::new().fallback(move |request: http::Request<_>| {
            let guard = guard.clone();
            async move { guard.answer(&request) }
        });
        let connector = tower::service_fn(move |_: http::Uri| {
            let (near, far) = tokio::io::duplex(64 * 1024);
            let server = Server::builder()
                .add_routes(Routes::from(router.clone()))
                .serve_with_incoming(tokio_stream::iter([Ok::<_, std::io::Error>(far)]));
            tokio::spawn(server);
            std::future::ready(Ok::<_, std::io::Error>(TokioIo::new(near)))
        });
        Endpoint::from_static("http://service").connect_with_connector_lazy(connector)
    }

    fn answer(
        &self,
        request: &http::Request<axum::body::Body>,
    ) -> http::Response<tonic::body::Body> {
        assert_eq!(request.uri().path(), "/latchkey.auth.v1.TokenRenewal/Renew");
        let token = request.headers()["authorization"].to_str().unwrap();
        self.shown.lock().unwrap().push(token.to_owned());
        if let Some(status) = self.refuses.lock().unwrap().clone() {
            return status.into_http();
        }
        let mut response = Status::ok("").into_http::<tonic::body::Body>();
        let empty = axum::body::Bytes::from_static(&[0; 5]);
        *response.body_mut() = tonic::body::Body::new(http_body_util::Full::new(empty));
        response
    }

    fn shown(&self) -> usize {
        self.shown.lock().unwrap().len()
    }
}

struct World {
    tokens: Arc<Tokens>,
    guard: Guard,
    exchange: Exchange,
    metrics: GatewayMetrics,
    start: Instant,
}

impl World {
    fn new() -> Self {
        let start = Instant::now();
        let clock = Arc::new(TokioClock(start));
        let tokens = Arc::new(Tokens::default());
        let exchange = Exchange::new(
            tokens.clone(),
            vec!["test".into()],
            &ExchangeSettings::default(),
            Revocations::none(clock.clone()),
            clock,
            ExchangeMetrics::default(),
        );
        Self {
            tokens,
            guard: Guard::default(),
            exchange,
            metrics: GatewayMetrics::register(&chassis::metrics::Metrics::new("gateway")),
            start,
        }
    }

    /// What a stream that opens now stands on, and how it ends.
    async fn lease(&self) -> tokio::task::JoinHandle<Ended> {
        let secret = SessionSecret::parse(&"A".repeat(43)).unwrap();
        let lease = Lease {
            exchange: self.exchange.clone(),
            upstream: Arc::new(upstream(self.guard.channel())),
            headers: headers(),
            grant: self.exchange.for_session(&secret, "test").await.unwrap(),
            metrics: self.metrics.clone(),
        };
        tokio::spawn(lease.over())
    }

    fn elapsed(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_with_token_after_token() {
    let world = World::new();
    let lease = world.lease().await;
    tokio::time::sleep(LIFE * 10).await;
    assert!(!lease.is_finished());
    let shown = world.guard.shown.lock().unwrap().clone();
    // Each from two thirds of the last one's life.
    assert!((12..=15).contains(&shown.len()), "{shown:?}");
    assert_eq!(shown[..2], ["Bearer token-1", "Bearer token-2"]);
    assert_eq!(world.metrics.stream_renewals.get(), shown.len() as u64);

    *world.tokens.refuses.lock().unwrap() = Some(ExchangeError::SessionInvalid);
    assert_eq!(lease.await.unwrap(), Ended::SessionOver);
    assert!(world.elapsed() < 11.0 * LIFE.as_secs_f64());
}

#[tokio::test(start_paused = true)]
async fn a_revocation_ends_it_at_once() {
    let world = World::new();
    let lease = world.lease().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.exchange.session_ended("another");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!lease.is_finished());
    world.exchange.session_ended("session");
    assert_eq!(lease.await.unwrap(), Ended::Revoked);
    assert_eq!(world.elapsed(), 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_is_tried_again_until_the_token_expires() {
    for (refusal, reason) in [
        (Status::unavailable("restarting"), None),
        (Status::unimplemented("another guard"), None),
        (
            chassis::status::status(tonic::Code::Unauthenticated, "TOKEN_INVALID", "no"),
            Some("a new token each time"),
        ),
    ] {
        let world = World::new();
        *world.guard.refuses.lock().unwrap() = Some(refusal);
        let lease = world.lease().await;
        assert_eq!(lease.await.unwrap(), Ended::Expired);
        assert_eq!(world.elapsed(), LIFE.as_secs_f64());
        // In the last third of a minute, every second or two.
        let shown = world.guard.shown();
        assert!((8..=21).contains(&shown), "{shown}");
        let asked = world.tokens.asked.load(Ordering::SeqCst);
        let expected = if reason.is_some() { shown + 1 } else { 2 };
        assert_eq!(asked, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_ends_in_time_ends_no_stream() {
    let world = World::new();
    let lease = world.lease().await;
    let away = ExchangeError::Away(Arc::new(Status::unavailable("away")));
    *world.tokens.refuses.lock().unwrap() = Some(away);
    tokio::time::sleep(Duration::from_secs(55)).await;
    assert_eq!(world.guard.shown(), 0);
    *world.tokens.refuses.lock().unwrap() = None;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!lease.is_finished());
    assert_eq!(world.guard.shown(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_renews_nothing() {
    let world = World::new();
    world.lease().await.abort();
    tokio::time::sleep(LIFE * 3).await;
    assert_eq!(world.guard.shown(), 0);
    assert_eq!(world.tokens.asked.load(Ordering::SeqCst), 1);
}
