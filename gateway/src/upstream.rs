//! Calling a gRPC method with bytes that somebody else encoded.
//!
//! No message type of any service is known here. What travels with a call is what
//! [`UpstreamRequestHeaders`] and the [`UpstreamToken`] say and nothing else.

mod codec;

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT_LANGUAGE, AUTHORIZATION},
    uri::PathAndQuery,
};
use tokio::time::{Instant, Sleep, timeout_at};
use tonic::{
    Code, Request, Status, Streaming, TimeoutExpired, client::Grpc, metadata::MetadataMap,
    transport::Channel,
};

pub(crate) use codec::BytesCodec;

use crate::exchange::UpstreamToken;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Where `token-verifier`'s guard takes a fresh token for the streams that are open.
const RENEW: PathAndQuery = PathAndQuery::from_static("/latchkey.auth.v1.TokenRenewal/Renew");

/// Who may call a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, also without a session.
    Anyone,
    /// Everybody with a session, a guest's included.
    Guest,
    /// People who have signed in.
    User,
}

/// A service behind the gateway.
pub(crate) struct Upstream {
    /// Its name in the settings.
    pub(crate) name: String,
    /// Whom its tokens are for.
    pub(crate) audience: String,
    /// Who may call it.
    pub(crate) access: Access,
    /// The connection, made when first needed.
    pub(crate) channel: Channel,
    /// The longest that one call may take.
    pub(crate) timeout: Duration,
    /// The longest that one stream of answers may go on. It holds a place among the
    /// requests in flight all the while, so there is an end to it.
    pub(crate) stream_timeout: Duration,
    /// The largest message it may answer with.
    pub(crate) max_response_bytes: usize,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Everything of a request that a service may see besides its message and its token.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamRequestHeaders {
    /// The id that logs and problem documents name.
    pub(crate) request_id: HeaderValue,
    /// W3C trace context.
    pub(crate) traceparent: Option<HeaderValue>,
    /// W3C trace context.
    pub(crate) tracestate: Option<HeaderValue>,
    /// The languages that a person reads.
    pub(crate) accept_language: Option<HeaderValue>,
}

impl Upstream {
    /// Calls a unary method. Dropping the future cancels the call.
    pub(crate) async fn unary(
        &self,
        rpc: PathAndQuery,
        message: Bytes,
        token: &UpstreamToken,
        headers: &UpstreamRequestHeaders,
        timeout: Duration,
    ) -> Result<Bytes, Status> {
        let deadline = Instant::now() + timeout;
        let request = request(message, token, headers, timeout);
        let answer = timeout_at(deadline, async {
            let mut grpc = self.grpc();
            self.ready(&mut grpc).await?;
            grpc.unary(request, rpc, BytesCodec::default()).await
        });
        match answer.await {
            Ok(answer) => answer
                .map(tonic::Response::into_inner)
                .map_err(|status| explain(status, deadline)),
            Err(_elapsed) => Err(deadline_exceeded()),
        }
    }

    /// Calls a method that answers with a stream. The deadline is the whole stream's.
    /// Dropping the stream cancels the call.
    pub(crate) async fn server_streaming(
        &self,
        rpc: PathAndQuery,
        message: Bytes,
        token: &UpstreamToken,
        headers: &UpstreamRequestHeaders,
        timeout: Duration,
    ) -> Result<UpstreamStream, Status> {
        let deadline = Instant::now() + timeout;
        let request = request(message, token, headers, timeout);
        let answer = timeout_at(deadline, async {
            let mut grpc = self.grpc();
            self.ready(&mut grpc).await?;
            grpc.server_streaming(request, rpc, BytesCodec::default())
                .await
        });
        match answer.await {
            Ok(Ok(answer)) => Ok(UpstreamStream {
                messages: answer.into_inner(),
                deadline: Box::pin(tokio::time::sleep_until(deadline)),
                over: false,
            }),
            Ok(Err(status)) => Err(explain(status, deadline)),
            Err(_elapsed) => Err(deadline_exceeded()),
        }
    }

    /// Shows the service another token of a session, for the streams of that session which
    /// are open over the same connection.
    pub(crate) async fn renew(
        &self,
        token: &UpstreamToken,
        headers: &UpstreamRequestHeaders,
    ) -> Result<(), Status> {
        let nothing = Bytes::new();
        self.unary(RENEW, nothing, token, headers, self.timeout)
            .await
            .map(|_answer| ())
    }

    fn grpc(&self) -> Grpc<Channel> {
        Grpc::new(self.channel.clone()).max_decoding_message_size(self.max_response_bytes)
    }

    async fn ready(&self, grpc: &mut Grpc<Channel>) -> Result<(), Status> {
        grpc.ready().await.map_err(|error| {
            tracing::debug!(upstream.name = %self.name, %error, "upstream is not reachable");
            Status::unavailable("the service cannot be reached")
        })
    }
}

/// The messages of one call, in order.
pub(crate) struct UpstreamStream {
    messages: Streaming<Bytes>,
    deadline: Pin<Box<Sleep>>,
    over: bool,
}

impl Stream for UpstreamStream {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        // The deadline comes first, so that a service that always has one more message
        // cannot outlive it.
        let next = if self.deadline.as_mut().poll(context).is_ready() {
            Some(Err(deadline_exceeded()))
        } else {
            let deadline = self.deadline.deadline();
            std::task::ready!(Pin::new(&mut self.messages).poll_next(context))
                .map(|message| message.map_err(|status| explain(status, deadline)))
        };
        self.over = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

fn request(
    message: Bytes,
    token: &UpstreamToken,
    headers: &UpstreamRequestHeaders,
    timeout: Duration,
) -> Request<Bytes> {
    let mut metadata = HeaderMap::with_capacity(8);
    metadata.insert(AUTHORIZATION, token.header_value().clone());
    metadata.insert(REQUEST_ID, headers.request_id.clone());
    let optional = [
        (TRACEPARENT, &headers.traceparent),
        (TRACESTATE, &headers.tracestate),
        (ACCEPT_LANGUAGE, &headers.accept_language),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            metadata.insert(name, value.clone());
        }
    }
    let metadata = MetadataMap::from_headers(metadata);
    let mut request = Request::from_parts(metadata, http::Extensions::new(), message);
    request.set_timeout(timeout);
    request
}

/// What a status means from this side. A status that tonic made here has a cause, one
/// that came over the wire has none; the caller has to be able to tell a service's word
/// from a broken connection.
fn explain(status: Status, deadline: Instant) -> Status {
    let is_local = status.source().is_some();
    match status.code() {
        // tonic's own timer reads `grpc-timeout` too, and says CANCELLED when it fires
        // before ours; so does a server that gave up at the deadline.
        Code::Cancelled if is_caused_by_timer(&status) || deadline <= Instant::now() => {
            deadline_exceeded()
        }
        code if is_local && is_broken_connection(code) => {
            tracing::debug!(error = %status, "the connection to an upstream broke");
            Status::unavailable("the connection to the service broke")
        }
        // tonic's decoder; the client asked for nothing that is out of range.
        Code::OutOfRange if status.message().starts_with(TOO_LARGE) => {
            Status::internal("the service's answer is too large")
        }
        _ => status,
    }
}

/// What tonic calls a connection that ended under a call, by the HTTP/2 error that ended it.
pub(crate) fn is_broken_connection(code: Code) -> bool {
    matches!(
        code,
        Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::ResourceExhausted
            | Code::PermissionDenied
    )
}

const TOO_LARGE: &str = "Error, decoded message length too large";

fn is_caused_by_timer(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("the service did not answer in time")
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
