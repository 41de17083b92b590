//! Bodies whose callers' tokens end, in paused time and polled by hand.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::{StreamExt as _, stream};
use http_body_util::StreamBody;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::advance;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::*;
use crate::clock::Clock as _;
use crate::testing::TestIssuer;
use crate::{Expectations, Keys, ManualClock, Revocations, TokenVerifier, VerifiedToken};

const SUBJECT: &str = "usr_018f4c1e-7b1a-7c3d-8e5f-0a1b2c3d4e5f";

struct Stage {
    issuer: TestIssuer,
    clock: ManualClock,
    revocations: Revocations,
    verifier: Arc<TokenVerifier>,
}

type Frames = stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>;
type Guarded = Pin<Box<GuardedBody<StreamBody<Frames>>>>;

impl Stage {
    fn new() -> Self {
        let issuer = TestIssuer::new("i");
        let clock = ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap());
        let expectations = Expectations {
            issuer: "i".to_owned(),
            audience: "a".to_owned(),
        };
        let revocations = Revocations::none(Arc::new(clock.clone()));
        let keys = Keys::fixed(issuer.key_set());
        let verifier = TokenVerifier::new(expectations, keys, Arc::new(clock.clone()));
        Self {
            issuer,
            clock,
            verifier: Arc::new(verifier.with_revocations(revocations.clone())),
            revocations,
        }
    }

    /// A token of this session as it is issued now.
    fn token(&self, session: &str) -> VerifiedToken {
        let header = self.issuer.default_header();
        let token = self.issuer.token_with(header, self.claims(session));
        self.verifier.verify(&token).unwrap()
    }

    fn claims(&self, session: &str) -> serde_json::Value {
        let mut claims = self.issuer.default_claims("a", SUBJECT, self.clock.now());
        claims["sid"] = session.into();
        claims
    }

    fn body(&self, session: &str, is_grpc: bool, frames: Frames) -> Guarded {
        let guard = Guard::new(Arc::clone(&self.verifier), self.token(session), is_grpc);
        Box::pin(GuardedBody::new(StreamBody::new(frames), Some(guard)))
    }

    fn silent(&self, session: &str) -> Guarded {
        self.body(session, true, stream::pending().boxed())
    }

    async fn pass(&self, seconds: u64) {
        let time = Duration::from_secs(seconds);
        self.clock.advance(time);
        advance(time).await;
    }
}

fn data() -> Frame<Bytes> {
    Frame::data(Bytes::from_static(b"x"))
}

fn endless() -> Frames {
    stream::repeat_with(|| Ok(data())).boxed()
}

/// A body that says what the test sends.
fn driven() -> (UnboundedSender<Frame<Bytes>>, Frames) {
    let (sender, receiver) = unbounded();
    (sender, receiver.map(Ok).boxed())
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll_with(body: &mut Guarded, waker: &Waker) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
    body.as_mut().poll_frame(&mut Context::from_waker(waker))
}

fn poll(body: &mut Guarded) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
    poll_with(body, Waker::noop())
}

#[track_caller]
fn passes(body: &mut Guarded) {
    let Poll::Ready(Some(Ok(frame))) = poll(body) else {
        panic!("no frame");
    };
    assert!(frame.is_data());
}

#[track_caller]
fn has_ended(body: &mut Guarded, code: Code, reason: &str) {
    let Poll::Ready(Some(Ok(frame))) = poll(body) else {
        panic!("no trailers");
    };
    let status = Status::from_header_map(frame.trailers_ref().unwrap()).unwrap();
    assert_eq!(status.code(), code);
    assert_eq!(status.get_details_error_info().unwrap().reason, reason);
    assert!(body.is_end_stream());
    assert!(matches!(poll(body), Poll::Ready(None)));
}

#[track_caller]
fn is_refused(body: &mut Guarded) {
    has_ended(body, Code::Unauthenticated, "TOKEN_ENDED");
}

// Without a runtime there are no timers: a unary answer needs none.
#[test]
fn a_unary_answer_is_not_watched() {
    let stage = Stage::new();
    let trailers = Frame::trailers(HeaderMap::new());
    let frames = stream::iter([Ok(data()), Ok(trailers)]).boxed();
    let mut body = stage.body("s", true, frames);
    passes(&mut body);
    assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
    assert_eq!(stage.verifier.open_streams().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_ends_when_its_session_does_and_drops_the_handler() {
    let stage = Stage::new();
    let (sender, frames) = driven();
    let (mut body, mut other) = (stage.body("s", true, frames), stage.silent("t"));
    assert!(poll(&mut body).is_pending() && poll(&mut other).is_pending());
    stage.revocations.note_session_ended("s");
    is_refused(&mut body);
    assert!(sender.is_closed());
    assert!(poll(&mut other).is_pending());
    drop(other);
    assert_eq!(stage.verifier.open_streams().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_revocation_among_ten_thousand_streams_wakes_one() {
    let stage = Stage::new();
    let mut streams: Vec<_> = (0..10_000)
        .map(|n| (stage.silent(&format!("s{n}")), Arc::new(Wakes::default())))
        .collect();
    for (body, wakes) in &mut streams {
        let waker = Waker::from(Arc::clone(wakes));
        assert!(poll_with(body, &waker).is_pending());
    }
    stage.revocations.note_session_ended("s4711");
    for (n, (_, wakes)) in streams.iter().enumerate() {
        let woken = wakes.0.load(Ordering::Relaxed);
        assert_eq!(woken, usize::from(n == 4_711), "{n}");
    }
    is_refused(&mut streams[4_711].0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_never_silent_ends_too() {
    let stage = Stage::new();
    let mut body = stage.body("s", true, endless());
    for _ in 0..100 {
        passes(&mut body);
    }
    stage.revocations.note_session_ended("s");
    is_refused(&mut body);

    let mut body = stage.body("t", true, endless());
    for _ in 0..64 {
        passes(&mut body);
        stage.pass(1).await;
    }
    passes(&mut body);
    stage.pass(1).await;
    is_refused(&mut body);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_ends_with_its_token_and_its_leeway() {
    let stage = Stage::new();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut body = stage.silent("s");
    assert!(poll_with(&mut body, &waker).is_pending());
    stage.pass(64).await;
    assert!(poll_with(&mut body, &waker).is_pending());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
    stage.pass(1).await;
    advance(Duration::from_millis(2)).await;
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    is_refused(&mut body);
}

#[tokio::test(start_paused = true)]
async fn a_newer_token_of_the_session_keeps_its_streams_open() {
    let stage = Stage::new();
    let (mut silent, mut busy) = (stage.silent("s"), stage.body("s", true, endless()));
    let mut other = stage.silent("t");
    passes(&mut busy);
    passes(&mut busy);
    assert!(poll(&mut silent).is_pending() && poll(&mut other).is_pending());
    stage.pass(40).await;
    stage.token("s");
    stage.pass(30).await;
    assert!(poll(&mut silent).is_pending());
    passes(&mut busy);
    is_refused(&mut other);
    // But not for ever.
    stage.pass(35).await;
    is_refused(&mut silent);
    is_refused(&mut busy);
}

#[tokio::test(start_paused = true)]
async fn a_renewed_stream_ends_with_its_session_all_the_same() {
    let stage = Stage::new();
    let mut body = stage.silent("s");
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    assert!(poll_with(&mut body, &waker).is_pending());
    stage.pass(40).await;
    stage.token("s");
    assert!(poll_with(&mut body, &waker).is_pending());
    let woken = wakes.0.load(Ordering::Relaxed);
    stage.revocations.note_session_ended("s");
    assert_eq!(wakes.0.load(Ordering::Relaxed), woken + 1);
    is_refused(&mut body);
}

#[tokio::test(start_paused = true)]
async fn nobody_renews_for_another() {
    let stage = Stage::new();
    let others = [
        ("sid", json!("t")),
        ("sub", json!("usr_018f4c1e-0000-7c3d-8e5f-0a1b2c3d4e5f")),
        ("client_id", json!("other")),
        ("act", json!({ "sub": "svc_other" })),
        ("scope", json!("less")),
    ];
    for (claim, value) in others {
        let mut body = stage.silent("s");
        assert!(poll(&mut body).is_pending());
        stage.pass(40).await;
        let mut claims = stage.claims("s");
        claims[claim] = value;
        let header = stage.issuer.default_header();
        let stranger = stage.issuer.token_with(header, claims);
        stage.verifier.verify(&stranger).unwrap();
        stage.pass(25).await;
        assert!(!poll(&mut body).is_pending(), "{claim}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_protocols_break_off() {
    let stage = Stage::new();
    let mut body = stage.body("s", false, stream::pending().boxed());
    assert!(poll(&mut body).is_pending());
    stage.revocations.note_session_ended("s");
    let Poll::Ready(Some(Err(error))) = poll(&mut body) else {
        panic!("the body did not break off");
    };
    assert!(error.is::<TokenEnded>(), "{error}");
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
}

#[tokio::test(start_paused = true)]
async fn what_needs_no_token_is_not_watched() {
    let mut body: Guarded = Box::pin(GuardedBody::new(
        StreamBody::new(stream::pending().boxed()),
        None,
    ));
    assert!(poll(&mut body).is_pending());
    advance(Duration::from_secs(1_000)).await;
    assert!(poll(&mut body).is_pending());
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_after_the_revocation_that_was_not_sent_before() {
    let stage = Stage::new();
    let mut body = stage.body("s", true, endless());
    passes(&mut body);
    stage.revocations.note_session_ended("s");
    is_refused(&mut body);

    let mut body = stage.body("t", true, endless());
    stage.revocations.note_session_ended("t");
    is_refused(&mut body);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_counts_while_nobody_asks_for_the_second_piece() {
    for frames in [
        endless(),
        stream::iter([Ok(data())]).chain(stream::pending()).boxed(),
    ] {
        let stage = Stage::new();
        let mut body = stage.body("s", true, frames);
        passes(&mut body);
        stage.pass(45).await;
        stage.token("s");
        stage.pass(30).await;
        let polled = poll(&mut body);
        let lives = match &polled {
            Poll::Pending => true,
            Poll::Ready(frame) => is_data(frame.as_ref()),
        };
        assert!(lives, "ended though renewed: {polled:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_ahead_is_part_of_the_body() {
    let stage = Stage::new();
    let (sender, frames) = driven();
    let mut body = stage.body("s", true, frames);
    sender.unbounded_send(data()).unwrap();
    sender.unbounded_send(data()).unwrap();
    drop(sender);
    passes(&mut body);
    assert_eq!(body.size_hint().lower(), 1);
    assert!(!body.is_end_stream());
    passes(&mut body);
    assert!(matches!(poll(&mut body), Poll::Ready(None)));

    let mut body = stage.body("t", true, stream::iter([Ok(data())]).boxed());
    passes(&mut body);
    assert!(body.is_end_stream());
}

// In the issuer's time a stream's token would be one of the future, or long over.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_neither_ends_nor_lengthens_a_stream() {
    for step in [-3600, -10, 10, 3600] {
        let stage = Stage::new();
        let (sender, frames) = driven();
        let (mut busy, mut silent) = (stage.body("s", true, frames), stage.silent("t"));
        assert!(poll(&mut busy).is_pending() && poll(&mut silent).is_pending());
        let set = stage.clock.now() + SignedDuration::from_secs(step);
        stage.clock.set(set);
        sender.unbounded_send(data()).unwrap();
        passes(&mut busy);
        assert!(poll(&mut silent).is_pending(), "{step}");
        // Renewed by the clock as it is now.
        stage.pass(40).await;
        stage.token("s");
        stage.pass(30).await;
        assert!(poll(&mut busy).is_pending(), "{step}");
        is_refused(&mut silent);
        stage.pass(35).await;
        is_refused(&mut busy);
    }
}
