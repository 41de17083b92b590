//! One connection's life: served, watched for idleness, drained, and cut off if it
//! must be.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, HOST};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use super::accept::Accepted;
use super::raw_head::{RawHead, Recorded};
use super::write_timeout::WriteTimeout;
use super::{BoxError, Limits, PeerAddress};

mod tracked;

use tracked::{Busy, Tracked};

/// Flow control: how much of a request body a client may send unread. Bodies here are
/// small JSON documents and messages.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// How much of a response waits for a slow reader, per stream.
const SEND_BUFFER: usize = 256 << 10;

/// Serves connections; cloned for each.
#[derive(Clone)]
pub(super) struct Server<S> {
    service: S,
    limits: Limits,
    builder: Builder<TokioExecutor>,
    shutdown: CancellationToken,
    cut_off: CancellationToken,
}

impl<S, B> Server<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(
        service: S,
        limits: &Limits,
        shutdown: CancellationToken,
        cut_off: CancellationToken,
    ) -> Self {
        Self {
            service,
            limits: limits.clone(),
            builder: builder(limits),
            shutdown,
            cut_off,
        }
    }

    pub(super) async fn run(self, accepted: Accepted) {
        let _place = accepted.place;
        let _open = self.limits.counters.opened();
        let busy = watch::Sender::new(0);
        let head = RawHead::new(self.limits.header_bytes());
        let handler = Handler {
            service: self.service,
            peer: accepted.peer,
            busy: busy.clone(),
            head: head.clone(),
            shutdown: self.shutdown.clone(),
            max_uri_bytes: self.limits.max_uri_bytes,
            max_headers: self.limits.max_headers,
        };
        let stream = WriteTimeout::new(accepted.stream, self.limits.write_timeout);
        let io = TokioIo::new(Recorded::new(stream, head));
        let mut connection = pin!(self.builder.serve_connection(io, handler));
        let mut requests = busy.subscribe();
        let ended = tokio::select! {
            result = connection.as_mut() => Some(result),
            () = idle(busy.subscribe(), self.limits.idle_timeout) => None,
            () = stopping(&self.shutdown, &mut requests, self.limits.linger) => None,
        };
        let result = match ended {
            Some(result) => result,
            None => {
                connection.as_mut().graceful_shutdown();
                // A client that ignores our goodbye is cut off, too.
                let patience = tokio::time::sleep(self.limits.drain);
                tokio::select! {
                    result = connection => result,
                    () = self.cut_off.cancelled() => Ok(()),
                    () = idle_after(patience, &mut requests) => Ok(()),
                }
            }
        };
        if let Err(error) = result {
            // A stranger's bad bytes: nobody needs to look.
            tracing::debug!(peer = %accepted.peer, error, "connection from {} ended", accepted.peer);
        }
    }
}

/// Ends when there was no request for `timeout`.
async fn idle(mut requests: watch::Receiver<usize>, timeout: Duration) {
    loop {
        if *requests.borrow_and_update() > 0 {
            // Cannot fail: the connection holds the sender.
            let _ = requests.changed().await;
        } else if tokio::time::timeout(timeout, requests.changed())
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Ends once the program stops and either a request is there, so that its response
/// can say goodbye, or none came while we lingered.
async fn stopping(
    shutdown: &CancellationToken,
    requests: &mut watch::Receiver<usize>,
    linger: Duration,
) {
    shutdown.cancelled().await;
    let request = requests.wait_for(|requests| *requests > 0);
    let _ = tokio::time::timeout(linger, request).await;
}

/// Ends when `patience` is over and no request is left.
async fn idle_after(patience: impl Future<Output = ()>, requests: &mut watch::Receiver<usize>) {
    patience.await;
    let _ = requests.wait_for(|requests| *requests == 0).await;
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        .max_headers(limits.max_headers)
        .max_buf_size(limits.header_bytes());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_concurrent_streams)
        .max_header_list_size(u32::try_from(limits.header_bytes()).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(limits.max_reset_streams)
        .max_local_error_reset_streams(limits.max_error_resets)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(limits.keep_alive)
        .keep_alive_timeout(limits.keep_alive);
    match limits.http2_only {
        true => builder.http2_only(),
        false => builder,
    }
}

/// What hyper calls: adds the peer, counts, and answers what is too large before the
/// service sees it.
struct Handler<S> {
    service: S,
    peer: SocketAddr,
    busy: watch::Sender<usize>,
    head: RawHead,
    shutdown: CancellationToken,
    max_uri_bytes: usize,
    max_headers: usize,
}

type HandlerFuture<B> =
    Pin<Box<dyn Future<Output = Result<Response<Tracked<B>>, BoxError>> + Send>>;

impl<S, B> hyper::service::Service<Request<Incoming>> for Handler<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<Tracked<B>>;
    type Error = BoxError;
    type Future = HandlerFuture<B>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let busy = Busy::new(&self.busy);
        if let Some(status) = self.refusal(&request) {
            let response = refused(status, busy, request.version());
            return Box::pin(std::future::ready(Ok(response)));
        }
        request.extensions_mut().insert(PeerAddress(self.peer));
        let http1 = request.version() != Version::HTTP_2;
        let shutdown = self.shutdown.clone();
        let response = self.service.clone().oneshot(request);
        Box::pin(async move {
            let mut response = response.await.map_err(Into::into)?;
            // A request that came and went between two looks at the shutdown.
            if http1 && shutdown.is_cancelled() {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| Tracked::new(body, busy)))
        })
    }
}

impl<S> Handler<S> {
    fn refusal(&self, request: &Request<Incoming>) -> Option<StatusCode> {
        if self.head.is_ambiguous(request) || has_no_single_host(request) {
            return Some(StatusCode::BAD_REQUEST);
        }
        if target_bytes(request.uri()) > self.max_uri_bytes {
            return Some(StatusCode::URI_TOO_LONG);
        }
        // hyper counts the lines of HTTP/1.1 only.
        let lines = request.headers().len();
        (lines > self.max_headers).then_some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    }
}

/// RFC 9112 §3.2 asks every server to refuse this; hyper leaves it to us.
fn has_no_single_host<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_11 && request.headers().get_all(HOST).iter().count() != 1
}

fn target_bytes(uri: &http::Uri) -> usize {
    let authority = uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    authority + uri.path_and_query().map_or(0, |path| path.as_str().len())
}

fn refused<B>(status: StatusCode, busy: Busy, version: Version) -> Response<Tracked<B>> {
    let mut response = Response::new(Tracked::empty(busy));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if version != Version::HTTP_2 {
        // Whatever follows on this connection is not to be believed.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
