//! A gRPC server around a program's services: limits, deadlines, authentication
//! before anything is read, health, reflection, metrics and a graceful end.
//!
//! tonic's routes run on the accept loop of [`crate::http`] rather than on tonic's
//! own server, which caps no connections, closes no idle ones, times no slow writes
//! and gives no bound to its drain. What tonic's server would have added is here:
//! `grpc-timeout` (with the server's own cap) and the peer's address.
//!
//! From outside in, a call passes: request id and trace context → metrics and log →
//! deadline → catching panics → the program's authentication → a check of the call's
//! form → the routes. Nothing behind the authentication answers a stranger, unknown
//! methods included.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service};

use crate::http::{BoxError, Counters, Limits, ServeError};
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::settings::Section;

mod call;
mod client;
mod deadline;
mod encoded;
mod form;
mod health;
mod malformed;
mod measure;
mod methods;

pub use client::{ConnectError, ConnectOptions, check_address, connect};
pub use encoded::{BytesEncoder, Encoded};

/// What authentication wraps: the routes, type-erased so that any layer fits.
pub type Inner = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Bounds of a gRPC server.
#[derive(Clone, Debug)]
pub struct GrpcLimits {
    /// Of connections, heads and streams.
    pub http: Limits,
    /// The longest that a call may take until its first response, whatever its
    /// `grpc-timeout` says. A server stream may go on longer.
    pub deadline: Duration,
}

impl Default for GrpcLimits {
    fn default() -> Self {
        let http = Limits {
            http2_only: true,
            // A gateway sends all it has over one connection.
            max_concurrent_streams: 1024,
            // All over one connection: clients that hang up, and calls that end before
            // their message was read, must not cut everybody else's.
            max_reset_streams: 1024,
            max_error_resets: None,
            // Channels stay open between bursts; pings tell the dead ones.
            idle_timeout: Duration::from_secs(15 * 60),
            // A token is at most 8 KiB, its metadata a little more.
            max_header_bytes: 16 << 10,
            linger: Duration::ZERO,
            ..Limits::default()
        };
        Self {
            http,
            deadline: Duration::from_secs(30),
        }
    }
}

impl GrpcLimits {
    /// Reads the limits' settings, with `self` as defaults.
    #[must_use]
    pub fn read(self, section: &mut Section<'_>) -> Self {
        let deadline = section.duration("deadline", self.deadline);
        if deadline.is_zero() {
            section.problem("deadline", "must be more than nothing");
        }
        Self {
            deadline,
            http: self.http.read(section),
        }
    }
}

/// A program's gRPC server.
#[derive(Debug)]
pub struct GrpcServer {
    metrics: Metrics,
    readiness: Readiness,
    limits: GrpcLimits,
    descriptors: Vec<&'static [u8]>,
    reflection: bool,
}

/// Why a gRPC server ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum GrpcServeError {
    /// The descriptors given to [`GrpcServer::reflection`] are no descriptors.
    #[error("the service descriptors do not decode")]
    Descriptors(#[source] BoxError),
    /// See [`ServeError`].
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl GrpcServer {
    /// A server of `program`, whose health is `readiness`.
    #[must_use]
    pub fn new(program: &str, metrics: Metrics, readiness: Readiness) -> Self {
        tracing::debug!(program, "preparing the gRPC server of {program}");
        Self {
            metrics,
            readiness,
            limits: GrpcLimits::default(),
            descriptors: Vec::new(),
            reflection: false,
        }
    }

    /// Other than the default limits.
    #[must_use]
    pub fn limits(mut self, limits: GrpcLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The encoded descriptor set of the program's services. It names the methods for
    /// metrics and health, and answers reflection (v1 and v1alpha) if `enabled`.
    #[must_use]
    pub fn reflection(mut self, descriptors: &'static [u8], enabled: bool) -> Self {
        self.descriptors.push(descriptors);
        self.reflection = enabled;
        self
    }

    /// Serves `routes` behind `auth` until `shutdown`, then says `NOT_SERVING` and
    /// finishes what is running.
    ///
    /// # Errors
    ///
    /// See [`GrpcServeError`].
    pub async fn serve<L, B>(
        self,
        listener: TcpListener,
        routes: Routes,
        auth: L,
        shutdown: CancellationToken,
    ) -> Result<(), GrpcServeError>
    where
        L: Layer<Inner>,
        L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        <L::Service as Service<Request<Body>>>::Error: Into<BoxError>,
        <L::Service as Service<Request<Body>>>::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let methods = methods::Methods::of(&self.descriptors)
            .map_err(|error| GrpcServeError::Descriptors(error.into()))?;
        let (health, reporter) = health::service(methods.services()).await;
        let mut routes = routes.add_service(health);
        if self.reflection {
            routes = add_reflection(routes, &self.descriptors)?;
        }
        let drain = CancellationToken::new();
        let guarded = auth.layer(Inner::new(form::CheckForm::new(routes.prepare())));
        let calls = call::Calls::new(
            guarded,
            measure::Meter::new(methods, &self.metrics),
            self.limits.deadline,
            drain.clone(),
        );
        let mut limits = self.limits.http;
        limits.counters = Counters::register(&self.metrics, "rpc");
        let serve = crate::http::serve(listener, calls, limits, drain.clone());
        let follow = health::follow(reporter, self.readiness, shutdown, drain);
        let (served, ()) = tokio::join!(serve, follow);
        served.map_err(Into::into)
    }
}

fn add_reflection(routes: Routes, descriptors: &[&'static [u8]]) -> Result<Routes, GrpcServeError> {
    let builder = || {
        let mut builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        for set in descriptors {
            builder = builder.register_encoded_file_descriptor_set(set);
        }
        builder
    };
    let failed = |error: tonic_reflection::server::Error| GrpcServeError::Descriptors(error.into());
    let v1 = builder().build_v1().map_err(failed)?;
    let v1alpha = builder().build_v1alpha().map_err(failed)?;
    Ok(routes.add_service(v1).add_service(v1alpha))
}

#[cfg(test)]
mod tests;
