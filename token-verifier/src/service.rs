//! The service that [`VerifyTokenLayer`](crate::VerifyTokenLayer) wraps around another.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::Service;

use crate::open_paths::OpenPaths;
use crate::refusal;
use crate::verified::VerifiedToken;
use crate::verifier::TokenVerifier;

/// A service behind a [`VerifyTokenLayer`](crate::VerifyTokenLayer).
#[derive(Clone, Debug)]
pub struct VerifyToken<S> {
    inner: S,
    verifier: TokenVerifier,
    open_paths: OpenPaths,
}

impl<S> VerifyToken<S> {
    pub(crate) fn new(inner: S, verifier: TokenVerifier, open_paths: OpenPaths) -> Self {
        Self {
            inner,
            verifier,
            open_paths,
        }
    }
}

impl<S, B, ResBody> Service<Request<B>> for VerifyToken<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // Whatever an outer layer left there, it was not our decision.
        request.extensions_mut().remove::<VerifiedToken>();
        if !self.open_paths.contains(request.uri().path()) {
            match self.verifier.authenticate(request.headers()) {
                Ok(token) => request.extensions_mut().insert(token),
                Err(error) => {
                    let response = refusal::response(&error, request.headers());
                    return ResponseFuture::refused(response);
                }
            };
        }
        ResponseFuture::passed(self.inner.call(request))
    }
}

pin_project! {
    /// The answer of a [`VerifyToken`], or its refusal.
    #[derive(Debug)]
    pub struct ResponseFuture<F, ResBody> {
        #[pin]
        state: State<F, ResBody>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProjection]
    enum State<F, ResBody> {
        Passed { #[pin] future: F },
        Refused { response: Option<Response<ResBody>> },
    }
}

impl<F, ResBody> ResponseFuture<F, ResBody> {
    fn passed(future: F) -> Self {
        let state = State::Passed { future };
        Self { state }
    }

    fn refused(response: Response<ResBody>) -> Self {
        let response = Some(response);
        let state = State::Refused { response };
        Self { state }
    }
}

impl<F, ResBody, E> Future for ResponseFuture<F, ResBody>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Passed { future } => Poll::Ready(ready!(future.poll(cx))),
            StateProjection::Refused { response } => {
                let response = response.take();
                Poll::Ready(Ok(
                    response.expect("a future is not polled after it is done")
                ))
            }
        }
    }
}
