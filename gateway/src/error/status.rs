//! gRPC statuses as problem documents.

use std::time::Duration;

use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{
    FieldError, Problem, RETRY_SOON, SIGN_IN, authorization_ended, away, crashed, session_required,
};

/// Longest text of a service that is passed on.
const MAX_TEXT: usize = 500;

/// Whose reasons `token-verifier`'s are.
const DOMAIN: &str = "latchkey";
/// What `token-verifier` says of a token that it refuses before any handler runs.
const TOKEN_INVALID: &str = "TOKEN_INVALID";
/// What it says when a token ends while its call is under way.
const TOKEN_ENDED: &str = "TOKEN_ENDED";

/// An upstream's status.
pub(crate) fn from_upstream(upstream: &str, status: &Status) -> Problem {
    if is_ended_token(status) {
        return authorization_ended();
    }
    if is_refused_token(status) {
        // The gateway had just issued that token, so whatever is wrong with it is our
        // fault (keys, clock, audience). A 401 would tell the browser that its session
        // is over, and it is not.
        tracing::error!(
            upstream,
            reason = "upstream_refused_token",
            message = status.message(),
            "an upstream refused the token that this gateway made"
        );
    } else if is_their_fault(status.code()) {
        tracing::warn!(
            upstream,
            reason = "upstream_failed",
            code = ?status.code(),
            message = status.message(),
            "an upstream failed"
        );
    }
    for_people(status)
}

/// Whether an upstream said that our token is no good.
pub(crate) fn is_refused_token(status: &Status) -> bool {
    status.code() == Code::Unauthenticated && !is_ended_token(status)
}

/// Whether the call may be made again with another token: the token was refused at the
/// door of the service with this audience. What a handler refuses may have done half of
/// its work, also if it only passes on what another service's door told it.
pub(crate) fn may_ask_again(status: &Status, audience: &str) -> bool {
    let Some(info) = status.get_details_error_info() else {
        return false;
    };
    status.code() == Code::Unauthenticated
        && info.reason == TOKEN_INVALID
        && info.domain == DOMAIN
        && info.metadata.get("audience").map(String::as_str) == Some(audience)
}

/// Whether the token was good when the call began and was revoked, or expired, since.
fn is_ended_token(status: &Status) -> bool {
    status.code() == Code::Unauthenticated && reason(status).as_deref() == Some(TOKEN_ENDED)
}

/// The status of one of the auth service's own RPCs, for `/auth/**`.
pub(crate) fn from_auth(status: &Status) -> Problem {
    let reason = reason(status);
    match (status.code(), reason.as_deref()) {
        (Code::Unauthenticated, Some("SESSION_INVALID")) => session_required(),
        (Code::Unauthenticated, Some("LOGIN_REFUSED")) => Problem::new(
            StatusCode::UNAUTHORIZED,
            "LOGIN_REFUSED",
            "The e-mail address or the password is wrong.",
        )
        .with_challenge(SIGN_IN),
        (Code::PermissionDenied, Some("PASSWORD_WRONG")) => for_people(status),
        // Everything else of these two is about this gateway's own assertion.
        (Code::Unauthenticated | Code::PermissionDenied, _) => {
            tracing::error!(
                reason = "auth_refused",
                code = ?status.code(),
                message = status.message(),
                "the auth service refuses this gateway; check workload key and settings"
            );
            away("UNAVAILABLE", "Sessions cannot be checked at the moment.")
        }
        (Code::DeadlineExceeded | Code::Cancelled | Code::Unavailable, _) => {
            tracing::warn!(reason = "auth_away", code = ?status.code(), message = status.message(),
                "the auth service is away");
            away("UNAVAILABLE", "Sessions cannot be checked at the moment.")
        }
        (Code::Unknown | Code::Internal | Code::DataLoss | Code::Unimplemented | Code::Ok, _) => {
            tracing::error!(reason = "auth_failed", code = ?status.code(),
                message = status.message(), "the auth service failed");
            crashed()
        }
        (
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange,
            _,
        ) => for_people(status),
    }
}

fn for_people(status: &Status) -> Problem {
    let (http, default_reason) = translate(status.code());
    let passes = http.is_client_error();
    let reason = reason(status).filter(|_| passes || http == StatusCode::SERVICE_UNAVAILABLE);
    let detail = if passes && !status.message().is_empty() {
        text(status.message())
    } else {
        plain_sentence(http).to_owned()
    };
    let problem = match reason {
        Some(reason) => Problem::new(http, reason, detail),
        None => Problem::new(http, default_reason, detail),
    };
    let problem = match retry_after(http, status) {
        Some(wait) => problem.with_retry_after(wait),
        None => problem,
    };
    problem.with_fields(if passes { fields(status) } else { Vec::new() })
}

/// The house's table. No `_`: a new code must be thought about.
fn translate(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::InvalidArgument => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
        Code::OutOfRange => (StatusCode::BAD_REQUEST, "OUT_OF_RANGE"),
        Code::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        Code::AlreadyExists => (StatusCode::CONFLICT, "ALREADY_EXISTS"),
        Code::Aborted => (StatusCode::CONFLICT, "ABORTED"),
        // The request is fine and the state is not: a conflict, not bad syntax.
        Code::FailedPrecondition => (StatusCode::CONFLICT, "FAILED_PRECONDITION"),
        Code::PermissionDenied => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
        Code::Unimplemented => (StatusCode::NOT_IMPLEMENTED, "UNIMPLEMENTED"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
        // See `from_upstream`.
        Code::Unauthenticated => (StatusCode::BAD_GATEWAY, "UPSTREAM_FAILED"),
        // 502 and not 500, so that the log shows whose fault it is.
        Code::Ok | Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => {
            (StatusCode::BAD_GATEWAY, "UPSTREAM_FAILED")
        }
    }
}

fn is_their_fault(code: Code) -> bool {
    translate(code).0.is_server_error()
}

fn plain_sentence(status: StatusCode) -> &'static str {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => "The service is away at the moment.",
        StatusCode::GATEWAY_TIMEOUT => "The service did not answer in time.",
        StatusCode::NOT_IMPLEMENTED => "The service does not do that.",
        status if status.is_client_error() => "The service refused the request.",
        _ => "The service failed.",
    }
}

/// The status's own reason, if it looks like one.
fn reason(status: &Status) -> Option<String> {
    let reason = status.get_details_error_info()?.reason;
    let fits = (1..=64).contains(&reason.len())
        && reason
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    fits.then_some(reason)
}

fn fields(status: &Status) -> Vec<FieldError> {
    let violations = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations);
    violations
        .unwrap_or_default()
        .into_iter()
        .take(100)
        .map(|violation| FieldError {
            field: text(&violation.field),
            description: text(&violation.description),
        })
        .collect()
}

fn retry_after(http: StatusCode, status: &Status) -> Option<Duration> {
    let asks = matches!(
        http,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let told = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    asks.then(|| told.unwrap_or(RETRY_SOON))
}

/// A service's words: one line, of bounded length.
fn text(words: &str) -> String {
    words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_TEXT)
        .collect()
}
