//! The operations port: is it alive, is it ready, how is it doing. Never reachable
//! from the public listener.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use crate::http::{Limits, ServeError};
use crate::metrics::Metrics;
use crate::readiness::Readiness;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Serves `/livez` (always 200), `/readyz` (200, or 503 with the names of closed
/// gates) and `/metrics` until `shutdown`.
///
/// Give it a token that fires *after* the program's own drain, so that a prober can
/// see that the program is alive and no longer ready.
///
/// # Errors
///
/// As [`crate::http::serve`].
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let service = service_fn(move |request: Request<_>| {
        let response = respond(&request, &metrics, &readiness);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    crate::http::serve(listener, service, limits(), shutdown).await
}

/// Probers and scrapers are few, small and quick.
fn limits() -> Limits {
    let short = Duration::from_secs(5);
    Limits {
        header_read_timeout: short,
        write_timeout: short,
        max_connections: 64,
        // One that hangs must not keep the others out.
        max_connections_per_address: 16,
        max_headers: 50,
        max_header_bytes: 8 << 10,
        max_uri_bytes: 1 << 10,
        max_concurrent_streams: 8,
        drain: short,
        linger: Duration::ZERO,
        ..Limits::default()
    }
}

fn respond<B>(
    request: &Request<B>,
    metrics: &Metrics,
    readiness: &Readiness,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !["/livez", "/readyz", "/metrics"].contains(&path) {
        return text(StatusCode::NOT_FOUND, PLAIN, "not found\n");
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut response = text(
            StatusCode::METHOD_NOT_ALLOWED,
            PLAIN,
            "method not allowed\n",
        );
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/livez" => text(StatusCode::OK, PLAIN, "ok\n"),
        "/readyz" => ready(&readiness.not_ready_names()),
        _ => text(StatusCode::OK, OPENMETRICS, metrics.encode()),
    }
}

fn ready(not_ready: &[&str]) -> Response<Full<Bytes>> {
    if not_ready.is_empty() {
        return text(StatusCode::OK, PLAIN, "ok\n");
    }
    let body = format!("not ready: {}\n", not_ready.join(", "));
    text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, body)
}

fn text(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
