//! A response's body that ends when its caller's token does.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::VerifyError;
use crate::guard::Guard;
use crate::refusal;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why the body of a response that is not gRPC broke off: meanwhile its caller's token was
/// revoked or ran out.
#[derive(Debug, thiserror::Error)]
#[error("the caller's token has ended")]
pub struct TokenEnded(#[source] VerifyError);

pin_project! {
    /// The body of a response that passed a [`VerifyTokenLayer`](crate::VerifyTokenLayer).
    ///
    /// It is the handler's body, for as long as the caller's token is good: see
    /// [there](crate::VerifyTokenLayer#open-streams).
    pub struct GuardedBody<B> {
        #[pin]
        state: State<B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<B> {
        /// The handler's.
        Inner {
            #[pin]
            inner: B,
            guard: Option<Guard>,
            // Whether a frame of data has passed.
            has_begun: bool,
        },
        /// Ours.
        Own {
            data: Option<Bytes>,
            trailers: Option<Box<HeaderMap>>,
        },
    }
}

impl<B> GuardedBody<B> {
    /// `inner`, watched over by `guard` unless everybody may have it.
    pub(crate) fn new(inner: B, guard: Option<Guard>) -> Self {
        let state = State::Inner {
            inner,
            guard,
            has_begun: false,
        };
        Self { state }
    }

    /// A body of our own.
    pub(crate) fn own(data: Bytes, trailers: HeaderMap) -> Self {
        let state = State::Own {
            data: Some(data),
            trailers: Some(Box::new(trailers)),
        };
        Self { state }
    }
}

/// An empty body.
impl<B> Default for GuardedBody<B> {
    fn default() -> Self {
        let state = State::Own {
            data: None,
            trailers: None,
        };
        Self { state }
    }
}

impl<B> Body for GuardedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut state = self.project().state;
        match state.as_mut().project() {
            StateProjection::Own { data, trailers } => Poll::Ready(next(data, trailers).map(Ok)),
            StateProjection::Inner {
                inner, guard: None, ..
            } => inner.poll_frame(cx).map_err(Into::into),
            StateProjection::Inner {
                inner,
                guard: Some(guard),
                has_begun,
            } => {
                let error = match ready!(poll_guarded(inner, guard, has_begun, cx)) {
                    Ok(frame) => return Poll::Ready(frame),
                    Err(error) => error,
                };
                let is_grpc = guard.is_grpc;
                // Drops the handler's body, and with it whatever it still holds or does.
                state.set(GuardedBody::default().state);
                Poll::Ready(Some(
                    end(&error, is_grpc).map_err(|()| TokenEnded(error).into()),
                ))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Inner { inner, .. } => inner.is_end_stream(),
            State::Own { data, trailers } => data.is_none() && trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Inner { inner, .. } => inner.size_hint(),
            State::Own { data, .. } => {
                SizeHint::with_exact(data.as_ref().map_or(0, Bytes::len) as u64)
            }
        }
    }
}

type Polled = Option<Result<Frame<Bytes>, BoxError>>;

/// The handler's next frame, or why there is none any more.
fn poll_guarded<B>(
    inner: Pin<&mut B>,
    guard: &mut Guard,
    has_begun: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<Result<Polled, VerifyError>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    // A stream that always has something to say must end, too.
    guard.check()?;
    let frame = match inner.poll_frame(cx) {
        Poll::Ready(frame) => frame,
        Poll::Pending => return guard.poll_ended(cx).map(Err),
    };
    if let Some(Ok(frame)) = &frame
        && frame.is_data()
        && std::mem::replace(has_begun, true)
    {
        // The second piece of data: no unary answer, but a stream.
        guard.watch();
    }
    Poll::Ready(Ok(frame.map(|frame| frame.map_err(Into::into))))
}

/// The last frame of a stream that ends because of `error`, if its protocol has such.
fn end(error: &VerifyError, is_grpc: bool) -> Result<Frame<Bytes>, ()> {
    tracing::debug!(reason = error.reason(), "stream closed: {error}");
    if is_grpc {
        Ok(Frame::trailers(refusal::trailers(error)))
    } else {
        Err(())
    }
}

fn next(data: &mut Option<Bytes>, trailers: &mut Option<Box<HeaderMap>>) -> Option<Frame<Bytes>> {
    if let Some(data) = data.take() {
        return Some(Frame::data(data));
    }
    trailers.take().map(|trailers| Frame::trailers(*trailers))
}

impl<B> fmt::Debug for GuardedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.state {
            State::Inner { .. } => "Inner",
            State::Own { .. } => "Own",
        };
        f.debug_tuple("GuardedBody").field(&name).finish()
    }
}

#[cfg(test)]
mod tests;
