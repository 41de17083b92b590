//! The layer: whom it lets pass, and what it tells the others.

use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame};
use token_verifier::testing::TestIssuer;
use token_verifier::{Keys, RemoteOptions, TokenVerifier, VerifiedToken, VerifyTokenLayer, caller};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::stage::{AUDIENCE, ISSUER, Stage, USER, expectations, now};

const METHOD: &str = "/latchkey.cart.v1.CartService/GetCart";

/// Who the handler saw, in the order of calls; `None` without a token.
type Seen = Arc<Mutex<Vec<Option<String>>>>;

/// A request whose body fails the test if somebody reads it.
fn request(path: &str, content_type: Option<&str>, authorization: &[&str]) -> Request<Unread> {
    let mut request = Request::post(path);
    if let Some(content_type) = content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    for value in authorization {
        request = request.header(AUTHORIZATION, *value);
    }
    request.body(Unread).unwrap()
}

struct Unread;

impl Body for Unread {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("the body was read");
    }
}

async fn send_to<B>(layer: VerifyTokenLayer, request: Request<B>) -> (Response<String>, Seen)
where
    B: Send + 'static,
{
    let seen = Seen::default();
    let handler = service_fn({
        let seen = Arc::clone(&seen);
        move |request: Request<B>| {
            let subject = VerifiedToken::of(&request).map(|token| token.subject().to_string());
            seen.lock().unwrap().push(subject);
            async { Ok::<_, Infallible>(Response::new("handled".to_owned())) }
        }
    });
    let response = layer.layer(handler).oneshot(request).await.unwrap();
    (collected(response).await, seen)
}

async fn collected<B>(response: Response<B>) -> Response<String>
where
    B: Body<Data = Bytes>,
    B::Error: Debug,
{
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(head, String::from_utf8(body.into()).unwrap())
}

async fn send<B: Send + 'static>(stage: &Stage, request: Request<B>) -> (Response<String>, Seen) {
    send_to(VerifyTokenLayer::new(stage.verifier.clone()), request).await
}

#[track_caller]
fn status(response: &Response<String>) -> Status {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc");
    assert_eq!(response.body(), "", "trailers only");
    Status::from_header_map(response.headers()).unwrap()
}

#[track_caller]
fn refused_with(response: &Response<String>, code: Code, message: &str, reason: &str) {
    let status = status(response);
    assert_eq!((status.code(), status.message()), (code, message));
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        (reason, "latchkey")
    );
    // Whoever passes it on did not refuse at the door.
    assert_eq!(info.metadata["audience"], AUDIENCE);
    assert_eq!(info.metadata.len(), 1);
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn lets_a_valid_token_pass_and_says_whose_it_is() {
    let stage = Stage::new();
    let authorization = bearer(&stage.token());
    for content_type in [Some("application/grpc"), Some("application/json"), None] {
        let request = request(METHOD, content_type, &[&authorization]);
        let (response, seen) = send(&stage, request).await;
        assert_eq!(response.body(), "handled");
        assert_eq!(*seen.lock().unwrap(), [Some(USER.to_owned())]);
    }
}

// GR-01: before the body, whatever the method, known or not, unary or streaming.
#[tokio::test]
async fn refuses_strangers_on_every_path_before_the_body_is_read() {
    let stage = Stage::new();
    for path in [
        METHOD,
        "/latchkey.cart.v1.CartService/NoSuchMethod",
        "/no.such.Service/Method",
        "/latchkey.auth.v1.RevocationService/Watch",
        "/",
        "/a",
        "*",
        "/grpc.health.v1.Health/",
        "/grpc.health.v1.Health/Other",
        "/grpc.health.v1.HealthX/Check",
        "/grpc.reflection.v2.ServerReflection/ServerReflectionInfo",
    ] {
        for method in [
            Method::POST,
            Method::GET,
            Method::OPTIONS,
            Method::from_bytes(b"X").unwrap(),
        ] {
            let mut request = request(path, Some("application/grpc"), &[]);
            *request.method_mut() = method;
            let (response, seen) = send(&stage, request).await;
            refused_with(
                &response,
                Code::Unauthenticated,
                "unauthenticated",
                "TOKEN_MISSING",
            );
            assert!(seen.lock().unwrap().is_empty(), "{path}");
        }
    }
}

#[tokio::test]
async fn opens_health_and_reflection() {
    let stage = Stage::new();
    for path in [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/List",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ] {
        let (_, seen) = send(&stage, request(path, Some("application/grpc"), &[])).await;
        assert_eq!(*seen.lock().unwrap(), [None], "{path}");
        let closed = VerifyTokenLayer::new(stage.verifier.clone()).close_reflection();
        let (_, seen) = send_to(closed, request(path, Some("application/grpc"), &[])).await;
        assert_eq!(
            seen.lock().unwrap().is_empty(),
            path.contains("reflection"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn aliases_of_open_paths_are_closed() {
    let stage = Stage::new();
    for path in [
        "//grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health//Check",
        "/grpc.health.v1.Health/Check/",
        "/./grpc.health.v1.Health/Check",
        "/x/../grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Check/../../latchkey.cart.v1.CartService/GetCart",
        "/grpc.health.v1.Health/Check;/GetCart",
        "/grpc.health.v1.Health/%43heck",
        "/grpc%2ehealth.v1.Health/Check",
        "/grpc.health.v1.Health%2fCheck",
        "/GRPC.HEALTH.V1.HEALTH/CHECK",
        "/grpc.health.v1.Health/check",
        "/grpc.health.v1.Health/Check%00",
        "/latchkey.cart.v1.CartService/GetCart?/grpc.health.v1.Health/Check",
        "http://host/grpc.health.v1.Health/Check2",
    ] {
        let (response, seen) = send(&stage, request(path, Some("application/grpc"), &[])).await;
        assert_eq!(status(&response).code(), Code::Unauthenticated, "{path}");
        assert!(seen.lock().unwrap().is_empty(), "{path}");
    }
}

// GR-02, TJ-29.
#[tokio::test]
async fn refuses_ambiguous_and_misplaced_credentials() {
    let stage = Stage::new();
    let (good, token) = (bearer(&stage.token()), stage.token());
    for authorization in [
        &[good.as_str(), good.as_str()][..],
        &["Bearer x", &good],
        &[&good, "Bearer x"],
        &["", &good],
        &[&format!("{good},{good}")],
        &[&format!("{good}, Bearer x")],
        &[&format!("{good} {good}")],
        &[&format!("Basic {token}")],
        &[&token],
    ] {
        let request = request(METHOD, Some("application/grpc"), authorization);
        let (response, seen) = send(&stage, request).await;
        refused_with(
            &response,
            Code::Unauthenticated,
            "unauthenticated",
            "TOKEN_INVALID",
        );
        assert!(seen.lock().unwrap().is_empty(), "{authorization:?}");
    }
    for name in [
        "x-authorization",
        "grpc-metadata-authorization",
        "x-internal-token",
        "cookie",
    ] {
        let mut request = request(METHOD, Some("application/grpc"), &[]);
        request.headers_mut().insert(name, good.parse().unwrap());
        let (response, _) = send(&stage, request).await;
        refused_with(
            &response,
            Code::Unauthenticated,
            "unauthenticated",
            "TOKEN_MISSING",
        );
    }
    let query = format!("{METHOD}?access_token={token}");
    let (response, _) = send(&stage, request(&query, Some("application/grpc"), &[])).await;
    refused_with(
        &response,
        Code::Unauthenticated,
        "unauthenticated",
        "TOKEN_MISSING",
    );
    let mut binary = request(METHOD, Some("application/grpc"), &[&good]);
    binary
        .headers_mut()
        .insert("authorization-bin", "AAAA".parse().unwrap());
    let (response, _) = send(&stage, binary).await;
    refused_with(
        &response,
        Code::Unauthenticated,
        "unauthenticated",
        "TOKEN_INVALID",
    );
}

// TJ-19, GR-10: one answer for every kind of bad token.
#[tokio::test]
async fn tells_strangers_nothing_about_which_check_failed() {
    let stage = Stage::new();
    let tokens = [
        stage.with_claim("exp", now().as_second() - 100),
        stage.with_claim("aud", "profile-service"),
        stage.with_claim("iss", "http://other"),
        stage.with_header("kid", "other"),
        stage.with_header("alg", "none"),
        stage.with_header("typ", "JWT"),
        format!("{}A", stage.token()),
        "garbage".to_owned(),
        "a".repeat(20_000),
    ];
    let mut answers = Vec::new();
    for token in tokens {
        let request = request(METHOD, Some("application/grpc"), &[&bearer(&token)]);
        let (response, _) = send(&stage, request).await;
        let shown = format!("{:?}", response.headers());
        assert!(!shown.contains("eyJ"), "{shown}");
        answers.push(shown);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn answers_plain_http_in_plain_http() {
    let stage = Stage::new();
    for content_type in [
        None,
        Some("application/json"),
        Some("application/grpc-web"),
        Some("application/grpc-web+proto"),
        Some("application/grpcx"),
        Some("text/plain; application/grpc"),
    ] {
        let (response, seen) = send(&stage, request("/carts", content_type, &[])).await;
        assert_eq!(
            response.status(),
            StatusCode::UNAUTHORIZED,
            "{content_type:?}"
        );
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
        assert!(response.headers().get("grpc-status").is_none());
        assert!(seen.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn answers_grpc_whatever_its_spelling() {
    let stage = Stage::new();
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "Application/gRPC;x=y",
    ] {
        let (response, _) = send(&stage, request(METHOD, Some(content_type), &[])).await;
        assert_eq!(
            status(&response).code(),
            Code::Unauthenticated,
            "{content_type}"
        );
    }
}

// FT-09: our fault is not the caller's, and nobody passes meanwhile.
#[tokio::test]
async fn says_unavailable_when_the_keys_are_missing() {
    let stage = Stage::new();
    let options = RemoteOptions::new("http://127.0.0.1:1/jwks").unwrap();
    // The driver never runs, so the keys never come.
    let (keys, _driver) = Keys::remote(options);
    let verifier = TokenVerifier::new(expectations(), keys, Arc::new(stage.clock.clone()));
    assert!(!verifier.is_ready());
    let layer = VerifyTokenLayer::new(verifier);
    let authorization = bearer(&stage.token());
    let grpc = request(METHOD, Some("application/grpc"), &[&authorization]);
    let (response, seen) = send_to(layer.clone(), grpc).await;
    refused_with(
        &response,
        Code::Unavailable,
        "keys unavailable",
        "KEYS_UNAVAILABLE",
    );
    assert!(seen.lock().unwrap().is_empty());
    let plain = request("/", None, &[&authorization]);
    let (response, _) = send_to(layer.clone(), plain).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[RETRY_AFTER], "5");
    // But who brings no token is still told so.
    let (response, _) = send_to(layer, request("/", None, &[])).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_left_by_an_outer_layer_is_not_believed() {
    let stage = Stage::new();
    let planted = stage.accepts(&stage.issuer.token(AUDIENCE, "svc_admin", now()));
    let mut open = request(
        "/grpc.health.v1.Health/Check",
        Some("application/grpc"),
        &[],
    );
    open.extensions_mut().insert(planted.clone());
    let (_, seen) = send(&stage, open).await;
    assert_eq!(*seen.lock().unwrap(), [None]);
    let mut guarded = request(METHOD, Some("application/grpc"), &[&bearer(&stage.token())]);
    guarded.extensions_mut().insert(planted.clone());
    let (_, seen) = send(&stage, guarded).await;
    assert_eq!(*seen.lock().unwrap(), [Some(USER.to_owned())]);
    let mut stranger = request(METHOD, Some("application/grpc"), &[]);
    stranger.extensions_mut().insert(planted);
    let (response, _) = send(&stage, stranger).await;
    assert_eq!(status(&response).code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_streamed_body_reaches_the_handler_whole() {
    let stage = Stage::new();
    let frames = (0..3_u8).map(|n| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![n; 2]))));
    let body = http_body_util::StreamBody::new(futures::stream::iter(frames)).boxed();
    let request = Request::post(METHOD)
        .header(AUTHORIZATION, bearer(&stage.token()))
        .body(body)
        .unwrap();
    let handler = service_fn(|request: Request<BoxBody<Bytes, Infallible>>| async {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Ok::<_, Infallible>(Response::new(Full::new(body)))
    });
    let guarded = VerifyTokenLayer::new(stage.verifier.clone()).layer(handler);
    let response = guarded.oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, &[0, 0, 1, 1, 2, 2][..]);
}

#[tokio::test]
async fn every_decision_is_told_to_the_hook() {
    let stage = Stage::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let verifier = stage.verifier.clone().on_decision({
        let told = Arc::clone(&told);
        move |decision| {
            told.lock()
                .unwrap()
                .push(decision.map_or_else(|e| e.reason(), |_| "ok"))
        }
    });
    let layer = VerifyTokenLayer::new(verifier);
    let good = bearer(&stage.token());
    for authorization in [
        &[good.as_str()][..],
        &[],
        &["Basic x"],
        &[&good, &good],
        &["Bearer x"],
    ] {
        send_to(layer.clone(), request(METHOD, None, authorization)).await;
    }
    send_to(layer, request("/grpc.health.v1.Health/Check", None, &[])).await;
    let expected = ["ok", "missing", "wrong_scheme", "ambiguous", "malformed"];
    assert_eq!(*told.lock().unwrap(), expected);
}

#[tokio::test]
async fn waits_for_the_inner_service_to_be_ready() {
    #[derive(Clone)]
    struct Busy(Arc<AtomicUsize>);
    impl tower::Service<Request<()>> for Busy {
        type Response = Response<()>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Response<()>, Infallible>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            if self.0.fetch_add(1, Ordering::SeqCst) < 3 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            std::future::ready(Ok(Response::new(())))
        }
    }
    let stage = Stage::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let guarded = VerifyTokenLayer::new(stage.verifier.clone()).layer(Busy(Arc::clone(&asked)));
    guarded.oneshot(Request::new(())).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[test]
fn a_handler_without_the_layer_gets_an_error_and_no_panic() {
    let status = caller(&tonic::Request::new(())).unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Internal, "internal error")
    );
}

#[test]
fn a_handler_behind_the_layer_learns_its_caller() {
    let stage = Stage::of(TestIssuer::new(ISSUER));
    let mut request = tonic::Request::new(());
    request
        .extensions_mut()
        .insert(stage.accepts(&stage.token()));
    assert_eq!(caller(&request).unwrap().subject().as_str(), USER);
}
