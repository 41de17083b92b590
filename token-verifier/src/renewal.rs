//! The one call that the layer answers itself: here is a newer token.
//!
//! Verifying the token is all there is to do, and that has happened by then. So a gateway
//! can keep a stream open on a service that the session has no other reason to call.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response};
use tonic::Status;

use crate::guarded_body::GuardedBody;
use crate::refusal;

/// `latchkey.auth.v1.TokenRenewal`, method `Renew`: an empty message for an empty message.
const PATH: &str = "/latchkey.auth.v1.TokenRenewal/Renew";

/// An uncompressed gRPC message of no bytes.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

pub(crate) fn is_asked_for<B>(request: &Request<B>) -> bool {
    request.uri().path() == PATH
        && request.method() == Method::POST
        && refusal::is_grpc(request.headers())
}

pub(crate) fn response<B>() -> Response<GuardedBody<B>> {
    let mut trailers = HeaderMap::new();
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
    let body = GuardedBody::own(Bytes::from_static(EMPTY_MESSAGE), trailers);
    let mut response = Response::new(body);
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    response
}
