use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tower::service_fn;

use super::*;
use crate::metrics::Metrics;

mod drain;
mod framing;
mod time;

/// A server that answers `<method> <path> <body bytes>`, and on `/wait` only when let.
struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
    /// How many requests reached the service.
    seen: Arc<AtomicUsize>,
    /// Rung when a `/wait` began.
    waiting: Arc<Notify>,
    /// A permit lets one `/wait` go on.
    go_on: Arc<Semaphore>,
}

async fn start(limits: Limits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let seen = Arc::new(AtomicUsize::new(0));
    let waiting = Arc::new(Notify::new());
    let go_on = Arc::new(Semaphore::new(0));
    let state = (Arc::clone(&seen), Arc::clone(&waiting), Arc::clone(&go_on));
    let service = service_fn(move |request| answer(request, state.clone()));
    let server = tokio::spawn(serve(listener, service, limits, shutdown.clone()));
    Running {
        address,
        shutdown,
        server,
        seen,
        waiting,
        go_on,
    }
}

async fn answer(
    request: http::Request<Incoming>,
    (seen, waiting, go_on): (Arc<AtomicUsize>, Arc<Notify>, Arc<Semaphore>),
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    seen.fetch_add(1, Ordering::SeqCst);
    assert!(request.extensions().get::<PeerAddress>().is_some());
    let (parts, body) = request.into_parts();
    let length = body.collect().await.map_or(0, |body| body.to_bytes().len());
    if parts.uri.path() == "/wait" {
        waiting.notify_one();
        go_on.acquire().await.unwrap().forget();
    }
    let text = format!("{} {} {length}", parts.method, parts.uri.path());
    Ok(http::Response::new(Full::new(text.into())))
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `bytes` and reads until the server closes.
    async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // The server may answer and close before it read everything.
        let _ = stream.write_all(bytes.as_ref()).await;
        read_to_end(&mut stream).await
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset counts as an end: the server closed with our bytes unread.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads one response with a body of known length.
async fn read_response(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte).await.unwrap();
        text.push(char::from(byte[0]));
    }
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap_or("0").parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    text + &String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn serves_both_protocols() {
    let server = start(Limits::default()).await;
    let answer = server
        .exchange("GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("GET /a 0"),
        "{answer}"
    );
    let (mut sender, connection) = h2(&server).await;
    tokio::spawn(connection);
    let request = http::Request::get("http://x/b")
        .body(Full::<Bytes>::default())
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "GET /b 0"
    );
}

type H2Sender = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

async fn h2(server: &Running) -> (H2Sender, impl Future<Output = hyper::Result<()>> + use<>) {
    let io = hyper_util::rt::TokioIo::new(server.connect().await);
    let executor = hyper_util::rt::TokioExecutor::new();
    hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap()
}

#[tokio::test]
async fn http2_heads_have_the_same_limits() {
    let limits = Limits {
        max_uri_bytes: 64,
        max_headers: 10,
        ..Limits::default()
    };
    let server = start(limits).await;
    let (mut sender, connection) = h2(&server).await;
    tokio::spawn(connection);
    let long = format!("http://x/{}", "a".repeat(64));
    let request = http::Request::get(long).body(Full::default()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 414);
    let mut request = http::Request::get("http://x/")
        .body(Full::default())
        .unwrap();
    for n in 0..11 {
        let name = http::HeaderName::try_from(format!("x-{n}")).unwrap();
        request
            .headers_mut()
            .insert(name, http::HeaderValue::from_static("v"));
    }
    assert_eq!(sender.send_request(request).await.unwrap().status(), 431);
    assert_eq!(server.seen(), 0);
}

#[tokio::test]
async fn http2_only_hangs_up_on_http1() {
    let limits = Limits {
        http2_only: true,
        ..Limits::default()
    };
    let server = start(limits).await;
    let answer = server.exchange("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!answer.starts_with("HTTP/1"), "{answer:?}");
    assert_eq!(server.seen(), 0);
}

#[tokio::test]
async fn connections_over_the_cap_are_closed_at_once_and_counted() {
    let metrics = Metrics::new("test");
    let limits = Limits {
        max_connections_per_address: 1,
        counters: Counters::register(&metrics, "http"),
        ..Limits::default()
    };
    let server = start(limits).await;
    let mut first = server.connect().await;
    first
        .write_all(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    assert!(read_response(&mut first).await.ends_with("GET /1 0"));
    assert_eq!(server.exchange("").await, "");
    let text = metrics.encode();
    assert!(
        text.contains("latchkey_http_connections_open{program=\"test\"} 1"),
        "{text}"
    );
    let refused = "http_connections_refused_total{reason=\"address\",program=\"test\"} 1";
    let other = "http_connections_refused_total{program=\"test\",reason=\"address\"} 1";
    assert!(text.contains(refused) || text.contains(other), "{text}");
    // The first one's place comes back.
    first
        .write_all(b"GET /2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(read_to_end(&mut first).await.ends_with("GET /2 0"));
}

#[test]
fn limits_refuse_what_would_serve_nobody() {
    use crate::settings::{self, Sources};
    let text =
        "max_connections = 0\nmax_header_bytes = '4KiB'\nidle_timeout = '0s'\ndrain = 'soon'";
    let sources = Sources::from_toml("l.toml", text);
    let read = settings::read(sources, |section| Some(Limits::default().read(section)));
    assert_eq!(
        read.unwrap_err().to_string(),
        "drain: not a duration like 500ms, 60s, 5m, 2h or 7d (l.toml:4)\n\
         max_header_bytes: must be at least 8KiB (l.toml:2)\n\
         idle_timeout: must be more than nothing (l.toml:3)\n\
         max_connections: must be at least 1 (l.toml:1)"
    );
}
