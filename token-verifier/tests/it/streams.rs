//! Streams over tonic, both ends of it, that end when their caller's token does. The
//! connection is a pipe within the process, so that time can be paused; what happens
//! frame by frame is in `src/guarded_body/tests.rs`.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use proto::auth::v1::revocation_service_client::RevocationServiceClient;
use proto::auth::v1::revocation_service_server::{RevocationService, RevocationServiceServer};
use proto::auth::v1::{WatchRequest, WatchResponse};
use token_verifier::testing::TestIssuer;
use token_verifier::{Clock, Keys, Revocations, TokenVerifier, VerifyTokenLayer};
use tokio::time::{Instant, sleep};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

use crate::stage::{AUDIENCE, ISSUER, USER, expectations, now};

/// The wall clock of a world whose time is tokio's.
struct PausedClock {
    began: Instant,
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        now() + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }
}

/// A service with a server stream, which does what its request's number says.
struct Streams;

const SILENT: u64 = 0;
const EVERY_SECOND: u64 = 1;
const NEVER_ANSWERS: u64 = 2;

#[tonic::async_trait]
impl RevocationService for Streams {
    type WatchStream = BoxStream<'static, Result<WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let stream = match request.into_inner().after_seq {
            SILENT => stream::pending().boxed(),
            EVERY_SECOND => stream::unfold((), |()| async {
                sleep(Duration::from_secs(1)).await;
                Some((Ok(WatchResponse::default()), ()))
            })
            .boxed(),
            _ => std::future::pending().await,
        };
        Ok(Response::new(stream))
    }
}

struct World {
    issuer: TestIssuer,
    clock: Arc<PausedClock>,
    revocations: Revocations,
    channel: Channel,
}

impl World {
    async fn new() -> Self {
        let issuer = TestIssuer::new(ISSUER);
        let began = Instant::now();
        let clock = Arc::new(PausedClock { began });
        let revocations = Revocations::none(clock.clone());
        let keys = Keys::fixed(issuer.key_set());
        let verifier = TokenVerifier::new(expectations(), keys, clock.clone())
            .with_revocations(revocations.clone());
        let channel = connected(VerifyTokenLayer::new(verifier)).await;
        Self {
            issuer,
            clock,
            revocations,
            channel,
        }
    }

    fn authorization(&self, session: &str) -> String {
        let mut claims = self.issuer.default_claims(AUDIENCE, USER, self.clock.now());
        claims["sid"] = session.into();
        let header = self.issuer.default_header();
        format!("Bearer {}", self.issuer.token_with(header, claims))
    }

    async fn open(&self, session: &str, what: u64) -> Result<Streaming<WatchResponse>, Status> {
        let mut request = Request::new(WatchRequest {
            after_seq: what,
            ..WatchRequest::default()
        });
        let authorization = MetadataValue::try_from(self.authorization(session)).unwrap();
        request
            .metadata_mut()
            .insert("authorization", authorization);
        let mut client = RevocationServiceClient::new(self.channel.clone());
        client.watch(request).await.map(Response::into_inner)
    }

    /// Calls the layer's own method with a new token.
    async fn renew(&self, session: &str) -> Status {
        let request = http::Request::post("/latchkey.auth.v1.TokenRenewal/Renew")
            .header(CONTENT_TYPE, "application/grpc")
            .header(AUTHORIZATION, self.authorization(session))
            .body(tonic::body::Body::new(Full::new(Bytes::from_static(
                &[0; 5],
            ))))
            .unwrap();
        let response = self.channel.clone().oneshot(request).await.unwrap();
        if let Some(refusal) = Status::from_header_map(response.headers()) {
            return refusal;
        }
        let answer = response.into_body().collect().await.unwrap();
        let status = Status::from_header_map(answer.trailers().unwrap()).unwrap();
        assert_eq!(answer.to_bytes(), [0; 5][..], "one empty message");
        status
    }

    fn elapsed(&self) -> u64 {
        self.clock.monotonic().as_secs()
    }
}

/// A channel to a tonic server behind `guard`.
async fn connected(guard: VerifyTokenLayer) -> Channel {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let incoming = stream::iter([Ok::<_, std::io::Error>(theirs)]).chain(stream::pending());
    let server = Server::builder()
        .layer(guard)
        .add_service(RevocationServiceServer::new(Streams))
        .serve_with_incoming(incoming);
    tokio::spawn(server);
    let mut ours = Some(ours);
    let connector = tower::service_fn(move |_| {
        let ours = ours.take().map(TokioIo::new);
        async move { ours.ok_or_else(|| std::io::Error::other("one connection is all there is")) }
    });
    Endpoint::from_static("http://service")
        .connect_with_connector(connector)
        .await
        .unwrap()
}

/// How the stream ends, and after how many messages.
async fn end(stream: &mut Streaming<WatchResponse>) -> (Status, usize) {
    let mut count = 0;
    loop {
        match stream.message().await {
            Ok(Some(_)) => count += 1,
            Ok(None) => panic!("the stream ended well"),
            Err(status) => return (status, count),
        }
    }
}

#[track_caller]
fn token_ended(status: &Status) {
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "TOKEN_ENDED");
}

async fn is_open(stream: &mut Streaming<WatchResponse>) {
    let message = pin!(stream.message());
    let polled = futures::poll!(message);
    assert!(matches!(polled, Poll::Pending));
}

// GW-17, KR-02.
#[tokio::test(start_paused = true)]
async fn a_revoked_sessions_streams_end_at_once_and_no_others() {
    let world = World::new().await;
    let mut silent = world.open("a", SILENT).await.unwrap();
    let mut busy = world.open("a", EVERY_SECOND).await.unwrap();
    let mut other = world.open("b", SILENT).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    world.revocations.note_session_ended("a");
    for (stream, expected) in [(&mut silent, 0), (&mut busy, 10)] {
        let (status, count) = end(stream).await;
        token_ended(&status);
        assert!(count <= expected, "{count}");
    }
    assert_eq!(world.elapsed(), 10);
    sleep(Duration::from_secs(1)).await;
    is_open(&mut other).await;
    // A new call is refused before its handler runs, and told so.
    let refused = world.open("a", SILENT).await.unwrap_err();
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.reason, "TOKEN_INVALID");
}

#[tokio::test(start_paused = true)]
async fn streams_end_with_their_token() {
    let world = World::new().await;
    let mut silent = world.open("a", SILENT).await.unwrap();
    let mut busy = world.open("b", EVERY_SECOND).await.unwrap();
    let ((silent, _), (busy, count)) = tokio::join!(end(&mut silent), end(&mut busy));
    token_ended(&silent);
    token_ended(&busy);
    assert!((64..=65).contains(&count), "{count}");
    assert_eq!(world.elapsed(), 65);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_answer_ends_too() {
    let world = World::new().await;
    let late = world.open("a", NEVER_ANSWERS);
    let revoked = world.open("b", NEVER_ANSWERS);
    let revoking = async {
        sleep(Duration::from_secs(10)).await;
        world.revocations.note_session_ended("b");
    };
    let revoked = async {
        let (status, ()) = tokio::join!(revoked, revoking);
        (status.unwrap_err(), world.elapsed())
    };
    let (late, (revoked, after)) = tokio::join!(late, revoked);
    token_ended(&revoked);
    assert_eq!(after, 10);
    token_ended(&late.unwrap_err());
    assert_eq!(world.elapsed(), 65);
}

#[tokio::test(start_paused = true)]
async fn renewal_keeps_a_sessions_streams_open() {
    let world = World::new().await;
    let mut renewed = world.open("a", SILENT).await.unwrap();
    let mut other = world.open("b", SILENT).await.unwrap();
    for _ in 0..5 {
        sleep(Duration::from_secs(40)).await;
        assert_eq!(world.renew("a").await.code(), Code::Ok);
        is_open(&mut renewed).await;
    }
    token_ended(&end(&mut other).await.0);
    assert_eq!(world.elapsed(), 200);
    token_ended(&end(&mut renewed).await.0);
    assert_eq!(world.elapsed(), 265);
}

#[tokio::test(start_paused = true)]
async fn renewal_is_for_callers_with_a_good_token() {
    let world = World::new().await;
    world.revocations.note_session_ended("a");
    assert_eq!(world.renew("a").await.code(), Code::Unauthenticated);
    assert_eq!(world.renew("b").await.code(), Code::Ok);
    // Another method of that name goes to the service, which has none.
    let request = http::Request::get("/latchkey.auth.v1.TokenRenewal/Renew")
        .header(AUTHORIZATION, world.authorization("b"))
        .body(tonic::body::Body::empty())
        .unwrap();
    let response = world.channel.clone().oneshot(request).await.unwrap();
    let status = Status::from_header_map(response.headers());
    assert_eq!(status.unwrap().code(), Code::Unimplemented);
}
