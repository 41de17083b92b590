use futures::{FutureExt, StreamExt};
use tokio::sync::oneshot;
use tonic::Response;

use super::{
    testing::{TestServer, headers, messages, upstream},
    *,
};

const RPC: PathAndQuery = PathAndQuery::from_static("/t.v1.T/Do");
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);

fn token() -> UpstreamToken {
    UpstreamToken::for_tests("the-token")
}

async fn unary(upstream: &Upstream, timeout: Duration) -> Result<Bytes, Status> {
    let message = Bytes::from_static(b"question");
    upstream
        .unary(RPC, message, &token(), &headers(), timeout)
        .await
}

async fn stream(upstream: &Upstream, timeout: Duration) -> Result<UpstreamStream, Status> {
    upstream
        .server_streaming(RPC, Bytes::new(), &token(), &headers(), timeout)
        .await
}

#[tokio::test]
async fn bytes_go_in_and_come_out_as_they_are() {
    let server = TestServer::start(|path, request| {
        async move {
            let question = request.into_inner().message().await?.unwrap();
            messages(vec![Ok([path.as_bytes(), b" ", &question].concat().into())])
        }
        .boxed()
    })
    .await;
    assert_eq!(
        unary(&server.upstream(), LONG).await.unwrap(),
        "/t.v1.T/Do question"
    );
}

#[tokio::test]
async fn nothing_travels_that_is_not_on_the_list() {
    let server = TestServer::start(|_, request| {
        let headers = request.metadata().clone().into_headers();
        let mut names: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
            .filter(|line| !line.starts_with("grpc-timeout="))
            .collect();
        assert!(headers.contains_key("grpc-timeout"));
        names.sort_unstable();
        async move { messages(vec![Ok(names.join("\n").into())]) }.boxed()
    })
    .await;
    let headers = UpstreamRequestHeaders {
        traceparent: Some(HeaderValue::from_static("00-1-2-01")),
        tracestate: Some(HeaderValue::from_static("a=b")),
        accept_language: Some(HeaderValue::from_static("de")),
        ..headers()
    };
    let upstream = server.upstream();
    let seen = upstream
        .unary(RPC, Bytes::new(), &token(), &headers, LONG)
        .await
        .unwrap();
    let seen = String::from_utf8(seen.to_vec()).unwrap();
    let names: Vec<&str> = seen
        .lines()
        .filter(|line| !line.starts_with("user-agent="))
        .collect();
    assert_eq!(
        names,
        [
            "accept-language=de",
            "authorization=Bearer the-token",
            "content-type=application/grpc",
            "te=trailers",
            "traceparent=00-1-2-01",
            "tracestate=a=b",
            "x-request-id=req-1",
        ]
    );
}

#[tokio::test]
async fn the_deadline_travels_and_is_kept() {
    let server = TestServer::start(|_, request| {
        assert_eq!(request.metadata().get("grpc-timeout").unwrap(), "50000000n");
        std::future::pending().boxed()
    })
    .await;
    let upstream = server.upstream();
    assert_eq!(
        unary(&upstream, SHORT).await.unwrap_err().code(),
        Code::DeadlineExceeded
    );
    let status = stream(&upstream, SHORT).await.err().unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_at_its_deadline_even_if_it_always_has_more() {
    let server = TestServer::start(|_, _| {
        // Not smaller: h2 ends a connection over which tiny frames pile up unread.
        let endless =
            futures::stream::repeat(Bytes::from_static(&[b'x'; 1024])).then(async |more| {
                tokio::task::yield_now().await;
                Ok(more)
            });
        async { Ok(Response::new(endless.boxed())) }.boxed()
    })
    .await;
    let timeout = Duration::from_millis(500);
    let answers = stream(&server.upstream(), timeout)
        .await
        .unwrap()
        .collect::<Vec<_>>()
        .await;
    let (last, before) = answers.split_last().unwrap();
    assert_eq!(last.as_ref().unwrap_err().code(), Code::DeadlineExceeded);
    assert!(before.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_status_comes_back_with_its_details() {
    let server = TestServer::start(|_, _| {
        let details = Bytes::from_static(b"\x08\x05details");
        let status = Status::with_details(Code::FailedPrecondition, "not now", details);
        async { Err(status) }.boxed()
    })
    .await;
    let status = unary(&server.upstream(), LONG).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::FailedPrecondition, "not now")
    );
    assert_eq!(status.details(), b"\x08\x05details");
}

#[tokio::test]
async fn a_services_own_words_are_kept() {
    for code in [
        Code::Cancelled,
        Code::Unknown,
        Code::Internal,
        Code::OutOfRange,
    ] {
        let server = TestServer::start(move |_, _| {
            async move { Err(Status::new(code, "its own words")) }.boxed()
        })
        .await;
        let status = unary(&server.upstream(), LONG).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, "its own words"));
    }
}

#[tokio::test]
async fn a_stream_delivers_until_its_error() {
    let server = TestServer::start(|_, _| {
        let end = Err(Status::aborted("enough"));
        async { messages(vec![Ok("a".into()), Ok(Bytes::new()), end]) }.boxed()
    })
    .await;
    let answers = stream(&server.upstream(), LONG)
        .await
        .unwrap()
        .collect::<Vec<_>>()
        .await;
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0].as_ref().unwrap(), "a");
    assert_eq!(answers[1].as_ref().unwrap(), "");
    assert_eq!(answers[2].as_ref().unwrap_err().code(), Code::Aborted);
}

#[tokio::test]
async fn an_answer_over_the_limit_is_the_services_fault() {
    let server = TestServer::start(|_, _| {
        async { messages(vec![Ok(vec![0; 64 * 1024 + 1].into())]) }.boxed()
    })
    .await;
    let status = unary(&server.upstream(), LONG).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status}");
    let answers = stream(&server.upstream(), LONG)
        .await
        .unwrap()
        .collect::<Vec<_>>()
        .await;
    assert_eq!(answers[0].as_ref().unwrap_err().code(), Code::Internal);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let upstream = upstream(testing::channel(address));
    let status = unary(&upstream, LONG).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(!status.message().contains("127.0.0.1"), "{status}");
}

#[tokio::test]
async fn a_connection_that_breaks_is_unavailable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(testing::channel(listener.local_addr().unwrap()));
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            // Reads the preface, so that the connection seems to stand, and hangs up.
            let _ = connection.readable().await;
        }
    });
    let status = unary(&upstream, LONG).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
}

/// A server whose only call never ends, and the ends of two wires: one that tells when
/// the call has begun, one that tells when it is gone.
async fn server_that_hangs(
    after_headers: bool,
) -> (TestServer, oneshot::Receiver<()>, oneshot::Receiver<()>) {
    let (begun, has_begun) = oneshot::channel::<()>();
    let (alive, is_gone) = oneshot::channel::<()>();
    let wires = std::sync::Mutex::new(Some((begun, alive)));
    let server = TestServer::start(move |_, _| {
        let (begun, alive) = wires.lock().unwrap().take().unwrap();
        async move {
            begun.send(()).unwrap();
            if after_headers {
                let endless = futures::stream::once(async move {
                    let _alive = alive;
                    std::future::pending().await
                });
                return Ok(Response::new(endless.boxed()));
            }
            let _alive = alive;
            std::future::pending().await
        }
        .boxed()
    })
    .await;
    (server, has_begun, is_gone)
}

#[tokio::test]
async fn dropping_the_future_cancels_the_call() {
    let (server, has_begun, is_gone) = server_that_hangs(false).await;
    let upstream = server.upstream();
    tokio::select! {
        answer = unary(&upstream, LONG) => panic!("{answer:?}"),
        begun = has_begun => begun.unwrap(),
    }
    // The server's handler owns the sender and drops it without a word.
    tokio::time::timeout(LONG, is_gone)
        .await
        .unwrap()
        .unwrap_err();
}

#[tokio::test]
async fn dropping_the_stream_cancels_the_call() {
    let (server, has_begun, is_gone) = server_that_hangs(true).await;
    let answers = stream(&server.upstream(), LONG).await.unwrap();
    has_begun.await.unwrap();
    drop(answers);
    tokio::time::timeout(LONG, is_gone)
        .await
        .unwrap()
        .unwrap_err();
}
