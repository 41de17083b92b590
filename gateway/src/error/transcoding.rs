//! What went wrong between JSON and a message.

use http::StatusCode;

use super::{FieldError, Problem};
use crate::{routes::ResponseError, transcode::TranscodeError};

/// The client's JSON, path or query is not the message's.
pub(crate) fn from_transcoding(error: &TranscodeError) -> Problem {
    let fields = error
        .violations()
        .iter()
        .filter(|violation| !violation.field.is_empty())
        .map(|violation| FieldError {
            field: violation.field.clone(),
            description: violation.description.clone(),
        })
        .collect();
    Problem::new(StatusCode::BAD_REQUEST, error.reason(), error.detail()).with_fields(fields)
}

/// The service's message is not what its descriptors say: its fault, so 502.
pub(crate) fn from_bad_response(upstream: &str, error: &ResponseError) -> Problem {
    tracing::error!(
        upstream,
        reason = "upstream_answer",
        error = error as &dyn std::error::Error,
        "an upstream's answer cannot be read"
    );
    Problem::new(
        StatusCode::BAD_GATEWAY,
        "UPSTREAM_FAILED",
        "The service failed.",
    )
}
