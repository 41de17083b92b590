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
            // What was taken from the handler's body to see whether there is more.
            ahead: Option<Polled>,
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
            ahead: None,
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
                ahead,
            } => {
                let error = match ready!(poll_guarded(inner, guard, ahead, cx)) {
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
            State::Inner { inner, ahead, .. } => match ahead {
                None => inner.is_end_stream(),
                Some(ahead) => ahead.is_none(),
            },
            State::Own { data, trailers } => data.is_none() && trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Inner { inner, ahead, .. } => with(inner.size_hint(), data_bytes(ahead)),
            State::Own { data, .. } => {
                SizeHint::with_exact(data.as_ref().map_or(0, Bytes::len) as u64)
            }
        }
    }
}

type Polled = Option<Result<Frame<Bytes>, BoxError>>;

/// The handler's next frame, or why there is none any more.
fn poll_guarded<B>(
    mut inner: Pin<&mut B>,
    guard: &mut Guard,
    ahead: &mut Option<Polled>,
    cx: &mut Context<'_>,
) -> Poll<Result<Polled, VerifyError>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    // A stream that always has something to say must end, too.
    guard.check()?;
    if let Some(ahead) = ahead.take() {
        return Poll::Ready(Ok(ahead));
    }
    let frame = match inner.as_mut().poll_frame(cx) {
        Poll::Ready(frame) => frame,
        Poll::Pending => return guard.poll_ended(cx).map(Err),
    };
    if is_data(frame.as_ref()) && !guard.is_watching() && !inner.is_end_stream() {
        *ahead = look_ahead(inner, cx);
        let is_unary = ahead.as_ref().is_some_and(|ahead| !is_data(ahead.as_ref()));
        if !is_unary {
            guard.watch();
            guard.check()?;
        }
    }
    Poll::Ready(Ok(frame.map(|frame| frame.map_err(Into::into))))
}

/// What comes after the first piece of data, if it is there already. After a unary answer
/// that is the end, and there is nothing to watch. Anything else is a stream, and watched
/// from here on: its caller may not ask for the next piece for a long time.
fn look_ahead<B>(inner: Pin<&mut B>, cx: &mut Context<'_>) -> Option<Polled>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    match inner.poll_frame(cx) {
        Poll::Ready(frame) => Some(frame.map(|frame| frame.map_err(Into::into))),
        Poll::Pending => None,
    }
}

fn is_data<E>(frame: Option<&Result<Frame<Bytes>, E>>) -> bool {
    frame.is_some_and(|frame| frame.as_ref().is_ok_and(Frame::is_data))
}

fn data_bytes(ahead: &Option<Polled>) -> u64 {
    let Some(Some(Ok(frame))) = ahead else {
        return 0;
    };
    frame.data_ref().map_or(0, Bytes::len) as u64
}

/// `hint` and so many bytes more.
fn with(hint: SizeHint, bytes: u64) -> SizeHint {
    let mut sum = SizeHint::new();
    if let Some(upper) = hint.upper() {
        sum.set_upper(upper.saturating_add(bytes));
    }
    sum.set_lower(hint.lower().saturating_add(bytes));
    sum
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
