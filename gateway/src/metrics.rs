//! What the gateway counts about requests. Labels come from bounded sets only: a
//! route is its template, and a path that is no route is `none`.

use std::{sync::Arc, time::Duration};

use chassis::metrics::{DURATION_BUCKETS, Metrics};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

/// The route of a response, for labels; put into its extensions by whoever matched it.
#[derive(Clone, Debug)]
pub(crate) struct RouteTemplate(pub(crate) Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// Counters and histograms of the public listener.
#[derive(Clone)]
pub(crate) struct GatewayMetrics {
    requests: Family<RequestLabels, Counter>,
    duration: Histogram,
    pub(crate) in_flight: Gauge,
    refused_tokens: Family<UpstreamLabels, Counter>,
    pub(crate) guests: Counter,
    pub(crate) stream_renewals: Counter,
    pub(crate) stream_renewal_failures: Counter,
    streams_ended: Family<ReasonLabels, Counter>,
}

impl GatewayMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.register(
                "http_requests",
                "Requests by route, method and status",
                Family::default(),
            ),
            duration: metrics.register(
                "http_request_duration_seconds",
                "From a request's head to its answer's head",
                Histogram::new(DURATION_BUCKETS),
            ),
            in_flight: metrics.register(
                "http_requests_in_flight",
                "Requests without an answer yet",
                Gauge::default(),
            ),
            refused_tokens: metrics.register(
                "upstream_refused_tokens",
                "Tokens of ours that an upstream refused, those included that it knew sooner than we did to be revoked",
                Family::default(),
            ),
            guests: metrics.register("guest_sessions", "Guest sessions made", Counter::default()),
            stream_renewals: metrics.register(
                "stream_renewals",
                "Fresh tokens shown to services for streams that are open",
                Counter::default(),
            ),
            stream_renewal_failures: metrics.register(
                "stream_renewal_failures",
                "Fresh tokens for open streams that a service did not take",
                Counter::default(),
            ),
            streams_ended: metrics.register(
                "streams_ended",
                "Streams that this gateway ended because their token was over, by reason",
                Family::default(),
            ),
        }
    }

    pub(crate) fn answered(
        &self,
        route: &str,
        method: &http::Method,
        status: http::StatusCode,
        took: Duration,
    ) {
        let labels = RequestLabels {
            route: route.to_owned(),
            method: bounded(method),
            status: status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
        self.duration.observe(took.as_secs_f64());
    }

    pub(crate) fn stream_ended(&self, reason: &'static str) {
        self.streams_ended
            .get_or_create(&ReasonLabels { reason })
            .inc();
    }

    pub(crate) fn refused_token(&self, upstream: &str) {
        let labels = UpstreamLabels {
            upstream: upstream.to_owned(),
        };
        self.refused_tokens.get_or_create(&labels).inc();
    }
}

/// A client can make up methods.
fn bounded(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
