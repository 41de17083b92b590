//! A request body must arrive, and at a pace.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tower::{Layer, Service};

/// How slow a body may be. Only time spent waiting for the client counts.
#[derive(Clone, Copy, Debug)]
pub struct BodyTimeout {
    /// Waiting that every body is allowed.
    pub grace: Duration,
    /// Beyond it, a client earns a second of waiting with so many bytes.
    pub min_bytes_per_second: u32,
}

impl Default for BodyTimeout {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(10),
            // A modem's pace; 64 KiB then take at most 26 s.
            min_bytes_per_second: 4096,
        }
    }
}

/// The error of a body whose client was too slow. Answer with 408 and close.
#[derive(Debug, thiserror::Error)]
#[error("the request body arrived too slowly")]
pub struct BodyTooSlow;

impl BodyTimeout {
    /// Watches over `body`.
    #[must_use]
    pub fn watch<B>(self, body: B) -> TimedBody<B> {
        TimedBody {
            body,
            limits: self,
            received: 0,
            waited: Duration::ZERO,
            waiting: None,
        }
    }
}

/// Watches over every request's body.
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyTimeoutLayer(pub BodyTimeout);

/// The service that [`BodyTimeoutLayer`] makes.
#[derive(Clone, Debug)]
pub struct WatchBodies<S> {
    inner: S,
    limits: BodyTimeout,
}

impl<S> Layer<S> for BodyTimeoutLayer {
    type Service = WatchBodies<S>;

    fn layer(&self, inner: S) -> WatchBodies<S> {
        WatchBodies {
            inner,
            limits: self.0,
        }
    }
}

impl<S, B> Service<Request<B>> for WatchBodies<S>
where
    S: Service<Request<TimedBody<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let limits = self.limits;
        self.inner.call(request.map(|body| limits.watch(body)))
    }
}

/// A body that fails with [`BodyTooSlow`] when its client dawdles.
#[derive(Debug)]
pub struct TimedBody<B> {
    body: B,
    limits: BodyTimeout,
    received: u64,
    waited: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<B> TimedBody<B> {
    fn allowance(&self) -> Duration {
        let rate = f64::from(self.limits.min_bytes_per_second.max(1));
        // As precise as needed: bodies are bounded to far less than 2^52 bytes.
        let earned = Duration::from_secs_f64(self.received as f64 / rate);
        (self.limits.grace + earned).saturating_sub(self.waited)
    }

    fn arrived<T: Buf>(&mut self, frame: &Frame<T>) {
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        let bytes = frame.data_ref().map_or(0, Buf::remaining);
        self.received += bytes as u64;
    }
}

impl<B> Body for TimedBody<B>
where
    B: Body + Unpin,
    B::Error: Into<super::BoxError>,
{
    type Data = B::Data;
    type Error = super::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.arrived(&frame);
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        let allowance = self.allowance();
        let start = || (Instant::now(), Box::pin(tokio::time::sleep(allowance)));
        let (_, sleep) = self.waiting.get_or_insert_with(start);
        sleep
            .as_mut()
            .poll(cx)
            .map(|()| Some(Err(BodyTooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
