//! Whose fault a message is that does not decode.
//!
//! tonic answers `INTERNAL` or `OUT_OF_RANGE` with its decoder's words, before a handler
//! runs. That blames us for a stranger's bytes, raises our alarms, and tells the
//! stranger how we parse.

use std::convert::Infallible;

use http::Response;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::status::status;

/// How tonic 0.14 begins to say that a request does not decode. Were a later version
/// to say it otherwise, the tests of this crate would fail.
const MALFORMED: [&str; 5] = [
    "failed to decode Protobuf message",
    "protocol error: received message with",
    "Unexpected EOF decoding stream.",
    "Missing request message.",
    "Error decompressing: ",
];
const TOO_LARGE: [&str; 2] = [
    "Error, decoded message length too large",
    "Error decompressing: size limit",
];

/// Replaces tonic's answer to a request that does not decode.
pub(super) fn reword(
    answer: Result<Response<Body>, Infallible>,
) -> Result<Response<Body>, Infallible> {
    let response = answer?;
    Ok(match response.extensions().get().and_then(better) {
        Some(better) => better.into_http(),
        None => response,
    })
}

fn better(status_by_tonic: &Status) -> Option<Status> {
    // Our own statuses carry details, tonic's do not.
    if !status_by_tonic.details().is_empty() {
        return None;
    }
    let message = status_by_tonic.message();
    let begins = |beginnings: &[&str]| beginnings.iter().any(|words| message.starts_with(words));
    let better = match status_by_tonic.code() {
        Code::OutOfRange | Code::ResourceExhausted if begins(&TOO_LARGE) => status(
            Code::ResourceExhausted,
            "MESSAGE_TOO_LARGE",
            "the request message is too large",
        ),
        Code::Internal if begins(&MALFORMED) => status(
            Code::InvalidArgument,
            "MALFORMED_MESSAGE",
            "the request message is malformed",
        ),
        _ => return None,
    };
    tracing::debug!(reason = message, "request message refused: {message}");
    Some(better)
}
