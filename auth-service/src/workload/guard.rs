//! The door: a tower layer that lets a call through if its workload may make it.
//!
//! It decides from the headers alone, before the message is read, and covers
//! methods that do not exist. Only health and reflection are open.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use token_verifier::Clock;
use tonic::Status;
use tower::{Layer, Service};

use super::{AssertionError, Workload, Workloads, permission_for};
use crate::metrics::AuthMetrics;
use crate::status;

/// What answers strangers: whether the program is up, and what it speaks. Paths are
/// compared byte for byte; an alias is just another path.
const OPEN: [&str; 5] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Puts the guard before a service.
#[derive(Clone)]
pub struct GuardLayer(Arc<Door>);

/// Verifies the assertion of every call before the service inside sees it.
#[derive(Clone)]
pub struct Guard<S> {
    inner: S,
    door: Arc<Door>,
}

struct Door {
    workloads: Workloads,
    clock: Arc<dyn Clock>,
    metrics: AuthMetrics,
}

/// The workload that makes this call. Without the layer there is none, which is our bug.
pub fn workload<T>(request: &tonic::Request<T>) -> Result<&Workload, Status> {
    request.extensions().get().ok_or_else(|| {
        tracing::error!("an RPC was reached without its guard");
        status::internal()
    })
}

impl GuardLayer {
    /// A door that these workloads can open.
    pub fn new(workloads: Workloads, clock: Arc<dyn Clock>, metrics: AuthMetrics) -> Self {
        Self(Arc::new(Door {
            workloads,
            clock,
            metrics,
        }))
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            door: Arc::clone(&self.0),
        }
    }
}

impl<S, B, R> Service<Request<B>> for Guard<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // Whatever a client put there, nobody behind this layer believes it.
        request.extensions_mut().remove::<Workload>();
        if !OPEN.contains(&request.uri().path()) {
            match self.door.admit(request.uri().path(), request.headers()) {
                Ok(workload) => request.extensions_mut().insert(workload),
                Err(status) => return Either::Right(ready(Ok(status.into_http()))),
            };
        }
        // Used up, and nobody's business any more.
        request.headers_mut().remove(AUTHORIZATION);
        Either::Left(self.inner.call(request))
    }
}

impl Door {
    fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Workload, Status> {
        let verified = unverified_assertion(headers)
            .and_then(|assertion| self.workloads.verify(assertion, self.clock.now()));
        self.metrics.assertion(
            verified
                .as_ref()
                .map_or_else(|error| error.reason(), |_| "ok"),
        );
        let workload = verified.map_err(|error| refuse(path, error))?;
        match permission_for(path) {
            Some(permission) if workload.may(permission) => Ok(workload),
            _ => {
                tracing::warn!(
                    rpc.method = path,
                    workload = workload.name(),
                    reason = "not_allowed",
                    "workload {} may not call {path}",
                    workload.name()
                );
                Err(status::workload_not_allowed())
            }
        }
    }
}

fn refuse(path: &str, error: AssertionError) -> Status {
    tracing::warn!(
        rpc.method = path,
        reason = error.reason(),
        "refused a call: {error}"
    );
    error.into()
}

/// What stands in the one authorization header. A second one, or one in binary,
/// could be what somebody else decided by.
fn unverified_assertion(headers: &HeaderMap) -> Result<&str, AssertionError> {
    if headers.contains_key("authorization-bin") {
        return Err(AssertionError::Malformed);
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next().ok_or(AssertionError::Missing)?, values.next()) else {
        return Err(AssertionError::Malformed);
    };
    let value = value.to_str().map_err(|_| AssertionError::Malformed)?;
    match value.split_once(' ') {
        // One or more spaces (RFC 9110, 11.4).
        Some((scheme, assertion)) if scheme.eq_ignore_ascii_case("bearer") => {
            Ok(assertion.trim_start_matches(' '))
        }
        _ => Err(AssertionError::Malformed),
    }
}

#[cfg(test)]
mod tests;
