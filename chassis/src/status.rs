//! Rich gRPC statuses: `google.rpc.Status` with `ErrorInfo`, so that a caller
//! branches on a stable reason and never on the words of a message.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// The `domain` of every `ErrorInfo` that Latchkey's parts send.
pub const DOMAIN: &str = "latchkey";

/// The reason that [`invalid`] carries.
pub const INVALID_ARGUMENT: &str = "INVALID_ARGUMENT";

/// A status with a stable `reason` (UPPER_SNAKE).
#[must_use]
pub fn status(code: Code, reason: &'static str, message: &str) -> Status {
    Status::with_error_details(code, message, details(reason))
}

/// `INVALID_ARGUMENT` with one `BadRequest` violation a field.
#[must_use]
pub fn invalid<F, D>(violations: impl IntoIterator<Item = (F, D)>) -> Status
where
    F: Into<String>,
    D: Into<String>,
{
    let violations: Vec<_> = violations
        .into_iter()
        .map(|(field, description)| FieldViolation::new(field, description))
        .collect();
    let mut details = details(INVALID_ARGUMENT);
    details.set_bad_request(violations);
    Status::with_error_details(Code::InvalidArgument, "invalid argument", details)
}

/// A status that tells the caller when trying again makes sense.
#[must_use]
pub fn retry_after(code: Code, reason: &'static str, message: &str, delay: Duration) -> Status {
    let mut details = details(reason);
    details.set_retry_info(Some(delay));
    Status::with_error_details(code, message, details)
}

/// The reason inside a status, when its `ErrorInfo` is ours. Details that do not
/// parse count as absent: they come from the wire.
#[must_use]
pub fn reason_of(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == DOMAIN).then_some(info.reason)
}

/// The delay that [`retry_after`] put in.
#[must_use]
pub fn retry_delay_of(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

/// The violations that [`invalid`] put in, as `(field, description)`.
#[must_use]
pub fn violations_of(status: &Status) -> Vec<(String, String)> {
    let violations = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations);
    violations
        .unwrap_or_default()
        .into_iter()
        .map(|violation| (violation.field, violation.description))
        .collect()
}

fn details(reason: &'static str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}

#[cfg(test)]
mod tests;
