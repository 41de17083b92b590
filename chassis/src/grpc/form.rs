//! The form of a call, checked behind authentication: is it gRPC, and is its
//! deadline one. Answers to messages that do not decode get their right code here.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::{Either, Map};
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;

use super::{deadline, malformed};
use crate::status;

type RoutesFuture = <Routes as Service<Request<Body>>>::Future;
type Answer = Result<Response<Body>, Infallible>;

#[derive(Clone, Debug)]
pub(super) struct CheckForm {
    routes: Routes,
}

impl CheckForm {
    pub(super) fn new(routes: Routes) -> Self {
        Self { routes }
    }
}

impl Service<Request<Body>> for CheckForm {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Map<RoutesFuture, fn(Answer) -> Answer>, Ready<Answer>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.routes, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match refusal(&request) {
            Some(response) => Either::Right(ready(Ok(response))),
            None => {
                let reword: fn(Answer) -> Answer = malformed::reword;
                Either::Left(self.routes.call(request).map(reword))
            }
        }
    }
}

fn refusal<B>(request: &Request<B>) -> Option<Response<Body>> {
    if !is_grpc(request) {
        // As the protocol says, so that a browser or curl understands it.
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Some(response);
    }
    if deadline::requested(request.headers()).is_err() {
        let refused = status::invalid([("grpc-timeout", "not 1 to 8 digits and a unit")]);
        return Some(refused.into_http());
    }
    None
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .map(|value| value.as_bytes());
    let subtype = content_type.and_then(|value| value.strip_prefix(b"application/grpc"));
    subtype.is_some_and(|rest| rest.is_empty() || matches!(rest[0], b'+' | b';'))
}
