//! A found route, called: JSON in, JSON out.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use futures::{FutureExt as _, Stream, StreamExt as _, future::BoxFuture};
use http::{HeaderValue, Response, header::CONTENT_TYPE};
use tonic::Status;

use super::{Found, Route};
use crate::{
    exchange::UpstreamToken,
    lease::Ended,
    transcode::{ResponseError, TranscodeError},
    upstream::{UpstreamRequestHeaders, UpstreamStream},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// What the service said, details and all, or DEADLINE_EXCEEDED or UNAVAILABLE
    /// from here.
    #[error("the service answered {:?}", .0.code())]
    Status(#[from] Status),
    /// The service's fault: its answer is not what its descriptors say.
    #[error("the response cannot be transcoded")]
    Response(#[from] ResponseError),
    /// A stream that may not go on.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// A request in the service's own form, made of JSON that its method takes.
#[derive(Clone)]
pub(crate) struct RequestMessage(Bytes);

impl Found {
    /// Transcodes a request. Nothing is asked of anybody yet, so that a request which no
    /// service would take costs no session and no token.
    pub(crate) fn message(
        &self,
        query: Option<&str>,
        body: &[u8],
    ) -> Result<RequestMessage, TranscodeError> {
        let message = self
            .route
            .transcoding
            .request(&self.variables, query, body)?;
        Ok(RequestMessage(message))
    }

    /// Calls and transcodes back. The response has a status, a content type and a body;
    /// none of the service's headers.
    ///
    /// `lease` makes what says when a stream must end; other calls ask for none. `problem` writes
    /// the problem document that ends a stream after its first message. Dropping the future
    /// or the response's body cancels the call.
    pub(crate) async fn call<L: Future<Output = Ended> + Send + 'static>(
        &self,
        RequestMessage(message): RequestMessage,
        token: &UpstreamToken,
        headers: &UpstreamRequestHeaders,
        lease: impl FnOnce() -> L,
        problem: impl Fn(CallError) -> Bytes + Send + Unpin + 'static,
    ) -> Result<Response<Body>, CallError> {
        let Route {
            upstream,
            rpc,
            transcoding,
            streaming,
            ..
        } = &*self.route;
        if *streaming {
            let timeout = upstream.stream_timeout;
            let messages = upstream
                .server_streaming(rpc.clone(), message, token, headers, timeout)
                .await?;
            let lines =
                Lines::start(Arc::clone(&self.route), messages, lease().boxed(), problem).await?;
            return Ok(response(NDJSON, Body::from_stream(lines)));
        }
        let message = upstream
            .unary(rpc.clone(), message, token, headers, upstream.timeout)
            .await?;
        Ok(response(JSON, Body::from(transcoding.response(message)?)))
    }
}

fn response(content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// One line of JSON a message. The first is there before the response begins, so that
/// a call which fails at once gets a status of its own.
struct Lines<P> {
    route: Arc<Route>,
    first: Option<Bytes>,
    /// None when the stream is over.
    messages: Option<UpstreamStream>,
    lease: BoxFuture<'static, Ended>,
    problem: P,
}

impl<P: Fn(CallError) -> Bytes> Lines<P> {
    async fn start(
        route: Arc<Route>,
        mut messages: UpstreamStream,
        mut lease: BoxFuture<'static, Ended>,
        problem: P,
    ) -> Result<Self, CallError> {
        let first = tokio::select! {
            biased;
            ended = &mut lease => return Err(ended.into()),
            first = messages.next() => first,
        };
        let first = match first {
            Some(message) => Some(line(&route, message?)?),
            None => None,
        };
        Ok(Self {
            route,
            messages: first.is_some().then_some(messages),
            first,
            lease,
            problem,
        })
    }

    /// The stream's last line. The call is dropped, not only forgotten: that cancels it.
    fn end(&mut self, error: CallError) -> Bytes {
        self.messages = None;
        last_line(&(self.problem)(error))
    }
}

impl<P: Fn(CallError) -> Bytes + Unpin> Stream for Lines<P> {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let this = &mut *self;
        let Some(messages) = &mut this.messages else {
            return Poll::Ready(None);
        };
        // First, so that a service which always has one more message cannot outlive it.
        if let Poll::Ready(ended) = this.lease.as_mut().poll(context) {
            return Poll::Ready(Some(Ok(this.end(ended.into()))));
        }
        let Some(message) = ready!(Pin::new(messages).poll_next(context)) else {
            this.messages = None;
            return Poll::Ready(None);
        };
        let next = message
            .map_err(CallError::from)
            .and_then(|message| line(&this.route, message));
        Poll::Ready(Some(Ok(next.unwrap_or_else(|error| this.end(error)))))
    }
}

fn line(route: &Route, message: Bytes) -> Result<Bytes, CallError> {
    let mut line = route.transcoding.response(message)?;
    line.push(b'\n');
    Ok(line.into())
}

fn last_line(problem: &[u8]) -> Bytes {
    [b"{\"error\":", problem, b"}\n"].concat().into()
}

#[cfg(test)]
mod tests;
