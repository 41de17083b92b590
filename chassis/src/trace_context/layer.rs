//! Layers: a server reads the context and makes it current, a client passes it on.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Request;
use tower::{Layer, Service};

use super::TraceContext;
use crate::request_id::{self, RequestId};

/// Reads (or makes) a request's trace context, puts its child into the request's
/// extensions and makes it [`TraceContext::current`] while the request is served.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtractLayer;

/// The service that [`ExtractLayer`] makes.
#[derive(Clone, Debug)]
pub struct Extract<S> {
    inner: S,
}

impl<S> Layer<S> for ExtractLayer {
    type Service = Extract<S>;

    fn layer(&self, inner: S) -> Extract<S> {
        Extract { inner }
    }
}

impl<S, B> Service<Request<B>> for Extract<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let context = TraceContext::from_headers(request.headers())
            .map_or_else(TraceContext::new, |parent| parent.child());
        request.extensions_mut().insert(context.clone());
        Box::pin(context.scope(self.inner.call(request)))
    }
}

/// Writes the current request's trace context (a new child) and request id into
/// what a client sends. Outside a request it changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct InjectLayer;

/// The service that [`InjectLayer`] makes.
#[derive(Clone, Debug)]
pub struct Inject<S> {
    inner: S,
}

impl<S> Layer<S> for InjectLayer {
    type Service = Inject<S>;

    fn layer(&self, inner: S) -> Inject<S> {
        Inject { inner }
    }
}

impl<S, B> Service<Request<B>> for Inject<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(context) = TraceContext::current() {
            context.child().inject(request.headers_mut());
        }
        if let Some(id) = RequestId::current() {
            request
                .headers_mut()
                .insert(request_id::HEADER, id.header_value());
        }
        self.inner.call(request)
    }
}
