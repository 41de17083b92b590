//! One call, from its head to its response: the outermost service.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Status};
use tower::{Service, ServiceExt};
use tracing::Instrument;

use super::deadline;
use super::measure::{MeasuredBody, Meter};
use super::methods::Method;
use crate::http::{BoxError, PeerAddress};
use crate::request_id::{self, RequestId};
use crate::status::status;
use crate::trace_context::TraceContext;

/// Serves calls; cloned for each.
#[derive(Clone)]
pub(super) struct Calls<A> {
    guarded: A,
    meter: Meter,
    deadline: Duration,
    drain: CancellationToken,
}

impl<A> Calls<A> {
    pub(super) fn new(
        guarded: A,
        meter: Meter,
        deadline: Duration,
        drain: CancellationToken,
    ) -> Self {
        Self {
            guarded,
            meter,
            deadline,
            drain,
        }
    }
}

type CallFuture = Pin<Box<dyn Future<Output = Result<Response<MeasuredBody>, BoxError>> + Send>>;

impl<A, R, B> Service<Request<B>> for Calls<A>
where
    A: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
    A::Error: Into<BoxError>,
    A::Future: Send + 'static,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<MeasuredBody>;
    type Error = BoxError;
    type Future = CallFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Each call asks its own clone.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> CallFuture {
        let mut request = request.map(Body::new);
        let id = RequestId::from_headers(request.headers()).unwrap_or_default();
        let trace = TraceContext::from_headers(request.headers())
            .map_or_else(TraceContext::new, |parent| parent.child());
        let method = self.meter.method(request.uri().path());
        extend(&mut request, &id, &trace);
        let span = tracing::info_span!(
            "rpc",
            rpc.service = method.service,
            rpc.method = method.method,
            request.id = %id,
            trace.id = %trace.trace_id(),
            span.id = %trace.span_id(),
        );
        let answer = answer(self.clone(), request, method, id.clone());
        Box::pin(id.scope(trace.scope(answer)).map(Ok).instrument(span))
    }
}

/// What handlers and clients down the line find in the request.
fn extend(request: &mut Request<Body>, id: &RequestId, trace: &TraceContext) {
    let peer = request.extensions().get::<PeerAddress>().copied();
    let extensions = request.extensions_mut();
    extensions.insert(id.clone());
    extensions.insert(trace.clone());
    if let Some(PeerAddress(peer)) = peer {
        // Where `tonic::Request::remote_addr` looks.
        extensions.insert(TcpConnectInfo {
            local_addr: None,
            remote_addr: Some(peer),
        });
    }
}

async fn answer<A, R>(
    calls: Calls<A>,
    request: Request<Body>,
    method: Method,
    id: RequestId,
) -> Response<MeasuredBody>
where
    A: Service<Request<Body>, Response = Response<R>>,
    A::Error: Into<BoxError>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let mut measurement = calls.meter.start(method);
    let granted = deadline::granted(request.headers(), calls.deadline);
    let guarded = AssertUnwindSafe(calls.guarded.oneshot(request)).catch_unwind();
    let mut response = match tokio::time::timeout(granted, guarded).await {
        Ok(Ok(Ok(response))) => response.map(Body::new),
        Ok(Ok(Err(error))) => Status::from_error(error.into()).into_http(),
        Ok(Err(panic)) => after_panic(&*panic).into_http(),
        Err(_) => late().into_http(),
    };
    if !measurement.read(response.headers()) && !response.status().is_success() {
        // Refused as HTTP: not a gRPC call at all.
        measurement.set(Code::InvalidArgument);
    }
    response
        .headers_mut()
        .insert(request_id::HEADER, id.header_value());
    let until = method.is_ours().then(|| calls.drain.cancelled_owned());
    response.map(|body| MeasuredBody::new(body, measurement, until))
}

fn late() -> Status {
    status(
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        "the call took too long",
    )
}

/// The panic's words go to the log (its hook wrote the place), never to the client.
fn after_panic(panic: &(dyn Any + Send)) -> Status {
    let words = panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(panic.message = %words, "a handler panicked");
    status(Code::Internal, "INTERNAL", "internal error")
}
