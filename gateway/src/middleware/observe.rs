//! The outermost layer: every answer leaves through here, also those to requests that
//! nobody wanted.

use std::time::{Duration, Instant};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use chassis::{
    request_id::{self, RequestId},
    trace_context::TraceContext,
};
use futures::FutureExt as _;
use http::{Method, Version, header};
use prometheus_client::metrics::gauge::Gauge;
use tracing::Instrument as _;

use super::security_headers;
use crate::{
    error::{Error, PROBLEM_JSON, Problem},
    gateway::Shared,
    metrics::RouteTemplate,
};

/// Gives the request its id and trace, and the answer everything that all answers have.
///
/// The id is always ours: one that a client could choose would let it write into
/// other people's log lines. A well-formed `traceparent` is continued, because it
/// identifies nobody and joins our spans to the caller's; anything else starts a
/// trace of its own.
pub(crate) async fn observe(
    State(gateway): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = RequestId::new();
    let trace = TraceContext::from_headers(request.headers())
        .map_or_else(TraceContext::new, |outside| outside.child());
    request.extensions_mut().insert(id.clone());
    let method = request.method().clone();
    let version = request.version();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let span = tracing::info_span!(
        "request",
        request.id = %id,
        trace.id = %trace.trace_id(),
        rpc.method = tracing::field::Empty,
    );
    let _counted = InFlight::enter(&gateway.metrics.in_flight);

    let work = std::panic::AssertUnwindSafe(next.run(request)).catch_unwind();
    let work = id.clone().scope(trace.scope(work)).instrument(span.clone());
    let mut response = work.await.unwrap_or_else(|_panic| {
        // The panic hook has already written where.
        tracing::error!(parent: &span, reason = "panic", "a handler panicked");
        Error::Crashed.into_response()
    });

    let outcome = Outcome::of(&response, matched, method, started);
    span.in_scope(|| outcome.report(&gateway));
    if version >= Version::HTTP_2 {
        // Connections end another way there, and the header is malformed (RFC 9113, 8.2.2).
        response.headers_mut().remove(header::CONNECTION);
    }
    finish(&mut response, &id, gateway.has_https());
    response
}

/// Writes what no handler has to remember.
fn finish(response: &mut Response, id: &RequestId, has_https: bool) {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        *response.body_mut() = Body::from(problem.to_json(id.as_str()));
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    }
    response
        .headers_mut()
        .insert(request_id::HEADER, id.header_value());
    security_headers::add(response.headers_mut(), has_https);
}

struct Outcome {
    route: String,
    method: Method,
    status: http::StatusCode,
    reason: Option<String>,
    took: Duration,
}

impl Outcome {
    fn of(
        response: &Response,
        matched: Option<MatchedPath>,
        method: Method,
        started: Instant,
    ) -> Self {
        let extensions = response.extensions();
        let route = extensions
            .get::<RouteTemplate>()
            .map(|route| route.0.to_string())
            .or_else(|| matched.map(|matched| matched.as_str().to_owned()))
            .unwrap_or_else(|| "none".to_owned());
        Self {
            route,
            method,
            status: response.status(),
            reason: extensions
                .get::<Problem>()
                .map(|problem| problem.reason().to_owned()),
            took: started.elapsed(),
        }
    }

    fn report(&self, gateway: &Shared) {
        gateway
            .metrics
            .answered(&self.route, &self.method, self.status, self.took);
        // The path itself can hold anything, also what should not be in a log.
        tracing::info!(
            http.method = %self.method,
            http.route = self.route,
            http.status = self.status.as_u16(),
            reason = self.reason.as_deref().map(str::to_ascii_lowercase),
            duration_ms = self.took.as_secs_f64() * 1000.0,
            "answered {} {} with {}",
            self.method,
            self.route,
            self.status.as_u16(),
        );
    }
}

/// Counts also the requests that are dropped half-way.
struct InFlight(Gauge);

impl InFlight {
    fn enter(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
