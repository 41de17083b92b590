//! What calls came to: counted and timed by method, and logged when they failed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::Span;

use super::methods::{Method, Methods};
use crate::metrics::{DURATION_BUCKETS, Metrics};

/// Measures all calls of one server. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    methods: Arc<Methods>,
    requests: Family<Outcome, Counter>,
    durations: Family<Labels, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    service: &'static str,
    method: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    service: &'static str,
    method: &'static str,
}

impl Meter {
    pub(super) fn new(methods: Methods, metrics: &Metrics) -> Self {
        let new_histogram: fn() -> Histogram = || Histogram::new(DURATION_BUCKETS);
        let durations = Family::new_with_constructor(new_histogram);
        Self {
            methods: Arc::new(methods),
            requests: metrics.register("rpc_requests", "Calls, by outcome", Family::default()),
            durations: metrics.register(
                "rpc_duration_seconds",
                "Time from a call's head to the end of its response",
                durations,
            ),
        }
    }

    pub(super) fn method(&self, path: &str) -> Method {
        self.methods.find(path)
    }

    pub(super) fn start(&self, method: Method) -> Measurement {
        Measurement {
            meter: self.clone(),
            method,
            started: Instant::now(),
            // Until something better is known: the client went away.
            code: Code::Cancelled,
            span: Span::current(),
        }
    }
}

/// One call being measured; recorded when dropped, so a call whose client went away
/// counts too.
#[derive(Debug)]
pub(super) struct Measurement {
    meter: Meter,
    method: Method,
    started: Instant,
    code: Code,
    span: Span,
}

impl Measurement {
    /// Takes the status from headers or trailers that carry one.
    pub(super) fn read(&mut self, headers: &HeaderMap) -> bool {
        let status = headers.get(Status::GRPC_STATUS);
        if let Some(status) = status {
            self.code = Code::from_bytes(status.as_bytes());
        }
        status.is_some()
    }

    pub(super) fn set(&mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Measurement {
    fn drop(&mut self) {
        let Method { service, method } = self.method;
        let code = name(self.code);
        let outcome = Outcome {
            service,
            method,
            code,
        };
        self.meter.requests.get_or_create(&outcome).inc();
        let elapsed = self.started.elapsed();
        let labels = Labels { service, method };
        self.meter
            .durations
            .get_or_create(&labels)
            .observe(elapsed.as_secs_f64());
        let _entered = self.span.enter();
        let milliseconds = elapsed.as_secs_f64() * 1e3;
        match self.code {
            Code::Internal | Code::Unknown | Code::DataLoss => tracing::error!(
                rpc.code = code,
                duration_ms = milliseconds,
                "{service}/{method} failed with {code}"
            ),
            Code::Unavailable | Code::DeadlineExceeded => tracing::warn!(
                rpc.code = code,
                duration_ms = milliseconds,
                "{service}/{method} failed with {code}"
            ),
            _ => tracing::debug!(
                rpc.code = code,
                duration_ms = milliseconds,
                "{service}/{method} ended with {code}"
            ),
        }
    }
}

/// A response's body that tells its measurement how it ended.
#[derive(Debug)]
pub(super) struct MeasuredBody {
    body: Body,
    measurement: Measurement,
    /// When a stream without an end of its own must end.
    until: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    ended: bool,
}

impl MeasuredBody {
    pub(super) fn new(
        body: Body,
        measurement: Measurement,
        until: Option<WaitForCancellationFutureOwned>,
    ) -> Self {
        Self {
            body,
            measurement,
            until: until.map(Box::pin),
            ended: false,
        }
    }

    fn must_end(&mut self, cx: &mut Context<'_>) -> bool {
        let until = self.until.as_mut();
        until.is_some_and(|until| until.as_mut().poll(cx).is_ready())
    }

    fn end(&mut self) -> Frame<Bytes> {
        self.ended = true;
        self.measurement.set(Code::Unavailable);
        let mut trailers = HeaderMap::new();
        Status::unavailable("the server is stopping")
            .add_header(&mut trailers)
            .expect("a plain message is a valid header");
        Frame::trailers(trailers)
    }
}

impl http_body::Body for MeasuredBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.measurement.read(trailers);
                }
            }
            Poll::Ready(Some(Err(status))) => {
                let code = status.code();
                self.measurement.set(code);
            }
            Poll::Ready(None) => {}
            // What was already waiting went first: a watcher hears NOT_SERVING.
            Poll::Pending if self.must_end(cx) => return Poll::Ready(Some(Ok(self.end()))),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The names of the specification.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
