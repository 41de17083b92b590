//! The service that [`VerifyTokenLayer`](crate::VerifyTokenLayer) wraps around another.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::Service;

use crate::VerifyError;
use crate::guard::Guard;
use crate::guarded_body::GuardedBody;
use crate::open_paths::OpenPaths;
use crate::verified::VerifiedToken;
use crate::verifier::TokenVerifier;
use crate::{refusal, renewal};

/// A service behind a [`VerifyTokenLayer`](crate::VerifyTokenLayer).
#[derive(Clone, Debug)]
pub struct VerifyToken<S> {
    inner: S,
    verifier: Arc<TokenVerifier>,
    open_paths: OpenPaths,
}

impl<S> VerifyToken<S> {
    pub(crate) fn new(inner: S, verifier: TokenVerifier, open_paths: OpenPaths) -> Self {
        Self {
            inner,
            verifier: Arc::new(verifier),
            open_paths,
        }
    }
}

impl<S, B, ResBody> Service<Request<B>> for VerifyToken<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
{
    type Response = Response<GuardedBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // Whatever an outer layer left there, it was not our decision.
        request.extensions_mut().remove::<VerifiedToken>();
        if self.open_paths.contains(request.uri().path()) {
            return ResponseFuture::passed(self.inner.call(request), None);
        }
        let token = match self.verifier.authenticate(request.headers()) {
            Ok(token) => token,
            Err(error) => {
                let is_grpc = refusal::is_grpc(request.headers());
                let audience = self.verifier.audience();
                return ResponseFuture::answered(refusal::response(&error, audience, is_grpc));
            }
        };
        if renewal::is_asked_for(&request) {
            return ResponseFuture::answered(renewal::response());
        }
        let is_grpc = refusal::is_grpc(request.headers());
        let guard = Guard::new(Arc::clone(&self.verifier), token.clone(), is_grpc);
        request.extensions_mut().insert(token);
        ResponseFuture::passed(self.inner.call(request), Some(guard))
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
        Passed { #[pin] future: F, guard: Option<Guard> },
        Answered { response: Option<Response<GuardedBody<ResBody>>> },
    }
}

impl<F, ResBody> ResponseFuture<F, ResBody> {
    fn passed(future: F, guard: Option<Guard>) -> Self {
        let state = State::Passed { future, guard };
        Self { state }
    }

    fn answered(response: Response<GuardedBody<ResBody>>) -> Self {
        let response = Some(response);
        let state = State::Answered { response };
        Self { state }
    }
}

impl<F, ResBody, E> Future for ResponseFuture<F, ResBody>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
{
    type Output = Result<Response<GuardedBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        match state.as_mut().project() {
            StateProjection::Passed { future, guard } => {
                let error = match poll_passed(future, guard, cx) {
                    Poll::Ready(Ok(answer)) => return Poll::Ready(answer),
                    Poll::Ready(Err(error)) => error,
                    Poll::Pending => return Poll::Pending,
                };
                tracing::debug!(reason = error.reason(), "call ended: {error}");
                let is_grpc = guard.as_ref().is_some_and(|guard| guard.is_grpc);
                // Drops the handler where it stands.
                state.set(State::Answered { response: None });
                Poll::Ready(Ok(refusal::ended(&error, is_grpc)))
            }
            StateProjection::Answered { response } => {
                let response = response.take();
                Poll::Ready(Ok(
                    response.expect("a future is not polled after it is done")
                ))
            }
        }
    }
}

/// The handler's answer, or why it is not waited for any more.
#[expect(
    clippy::type_complexity,
    reason = "an answer, within a verdict, within a poll"
)]
fn poll_passed<F, ResBody, E>(
    future: Pin<&mut F>,
    guard: &mut Option<Guard>,
    cx: &mut Context<'_>,
) -> Poll<Result<Result<Response<GuardedBody<ResBody>>, E>, VerifyError>>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
{
    match (future.poll(cx), guard) {
        (Poll::Ready(answer), guard) => {
            let guarded = |body| GuardedBody::new(body, guard.take());
            Poll::Ready(Ok(answer.map(|response| response.map(guarded))))
        }
        (Poll::Pending, Some(guard)) => guard.poll_ended(cx).map(Err),
        (Poll::Pending, None) => Poll::Pending,
    }
}
