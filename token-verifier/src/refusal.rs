//! What a refused caller is told: bland words, in the protocol they speak.

use std::collections::HashMap;

use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, Response, StatusCode};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::VerifyError;

/// The `domain` of `google.rpc.ErrorInfo`: whose reasons these are.
const DOMAIN: &str = "latchkey";

/// Seconds. Keys are sought again more often than that, so the next try may work.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// The reason for which a call ends whose handler has begun. Another than a refused token's, because
/// such a call must not be sent again unseen.
const TOKEN_ENDED: &str = "TOKEN_ENDED";

/// In the `metadata` of `google.rpc.ErrorInfo`: who refused.
const AUDIENCE: &str = "audience";

/// Instead of a call. It names `audience`, whose service refuses: a service that calls
/// others may pass on their refusals, and such a call must not be sent again unseen either.
pub(crate) fn response<ResBody: Default>(
    error: &VerifyError,
    audience: &str,
    is_grpc: bool,
) -> Response<ResBody> {
    if is_grpc {
        let who = HashMap::from([(AUDIENCE.to_owned(), audience.to_owned())]);
        status(error, error.public_reason(), who).into_http()
    } else {
        plain(error)
    }
}

/// Instead of the response to a call whose handler has begun.
pub(crate) fn ended<ResBody: Default>(error: &VerifyError, is_grpc: bool) -> Response<ResBody> {
    if is_grpc {
        status(error, ended_reason(error), HashMap::new()).into_http()
    } else {
        plain(error)
    }
}

/// Instead of the rest of a response.
pub(crate) fn trailers(error: &VerifyError) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    status(error, ended_reason(error), HashMap::new())
        .add_header(&mut trailers)
        .expect("bland words are good header values");
    trailers
}

fn ended_reason(error: &VerifyError) -> &'static str {
    if error.is_our_fault() {
        error.public_reason()
    } else {
        TOKEN_ENDED
    }
}

/// `application/grpc`, with `+proto` or parameters. gRPC-Web is another protocol: its
/// clients read the HTTP status.
pub(crate) fn is_grpc(request: &HeaderMap) -> bool {
    const PREFIX: &[u8] = b"application/grpc";
    let Some(content_type) = request.get(CONTENT_TYPE).map(HeaderValue::as_bytes) else {
        return false;
    };
    content_type
        .split_at_checked(PREFIX.len())
        .is_some_and(|(prefix, rest)| {
            prefix.eq_ignore_ascii_case(PREFIX) && matches!(rest.first(), None | Some(b'+' | b';'))
        })
}

fn status(error: &VerifyError, reason: &str, metadata: HashMap<String, String>) -> Status {
    let (code, message) = match error {
        VerifyError::KeysUnavailable => (Code::Unavailable, "keys unavailable"),
        VerifyError::RevocationsUnavailable => (Code::Unavailable, "revocations unavailable"),
        _ => (Code::Unauthenticated, "unauthenticated"),
    };
    let details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
    Status::with_error_details(code, message, details)
}

fn plain<ResBody: Default>(error: &VerifyError) -> Response<ResBody> {
    let mut response = Response::new(ResBody::default());
    let (status, name, value) = match error {
        VerifyError::KeysUnavailable | VerifyError::RevocationsUnavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            RETRY_AFTER,
            RETRY_AFTER_SECONDS,
        ),
        _ => (
            StatusCode::UNAUTHORIZED,
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer"),
        ),
    };
    *response.status_mut() = status;
    response.headers_mut().insert(name, value);
    response
}
