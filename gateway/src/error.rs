//! The border: what the client sees of everything that can go wrong.
//!
//! One exhaustive match for our own errors and one for gRPC status codes; a new
//! variant stops the build until somebody chooses its answer. Strangers get a plain
//! sentence, a stable reason and the request id; causes go to the log, once.

mod problem;
mod status;
mod transcoding;

use std::time::Duration;

use http::{HeaderValue, StatusCode};

pub(crate) use self::{
    problem::{FieldError, PROBLEM_JSON, Problem},
    status::{from_auth, from_upstream, is_refused_token, may_ask_again},
    transcoding::{from_bad_response, from_transcoding},
};
use crate::{
    credential::CredentialError, csrf::CsrfError, exchange::ExchangeError, lease::Ended,
    path::PathNotNormal,
};

/// The challenge of a 401: HTTP wants one, and the cookie has no registered scheme.
const SIGN_IN: &str = r#"Cookie realm="latchkey", form-action="/sign-in""#;

/// When a client may ask again if nothing better is known.
pub(crate) const RETRY_SOON: Duration = Duration::from_secs(1);

/// Everything that ends a request early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Path(#[from] PathNotNormal),
    #[error("the request target is too long")]
    TargetTooLong,
    #[error("the request does not name one host")]
    HostMalformed,
    #[error("the host is not one of the public origins")]
    HostUnknown,
    #[error("nothing is here")]
    NotFound,
    #[error("the method is not for this path")]
    MethodNotAllowed(Option<HeaderValue>),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Csrf(#[from] CsrfError),
    #[error("the body is not application/json")]
    MediaType,
    #[error("the body is compressed")]
    ContentEncoding,
    #[error("a body where none belongs")]
    BodyNotAllowed,
    #[error("the body is longer than this route takes")]
    BodyTooLarge,
    #[error("the body did not arrive in time")]
    BodyLate,
    #[error("the body broke off")]
    BodyBroken(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the body is not what this route takes")]
    Json(#[source] serde_json::Error),
    #[error("fields are not acceptable")]
    Fields(Vec<FieldError>),
    #[error("a person's session is required")]
    SessionRequired,
    #[error("too many requests are under way")]
    Overloaded,
    #[error("the request took too long")]
    Late,
    #[error("the services' descriptors are not loaded yet")]
    NotReady,
    #[error("a request's task came to a sudden end")]
    Crashed,
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error(transparent)]
    Ended(#[from] Ended),
    /// Of the auth service's own RPCs; an exchange's is in `Exchange`.
    #[error("the auth service refused")]
    Auth(#[source] tonic::Status),
    #[error("the auth service's answer makes no sense: {0}")]
    AuthAnswer(&'static str),
}

impl Error {
    /// A single field's fault.
    pub(crate) fn field(field: &str, description: &str) -> Self {
        Self::Fields(vec![FieldError {
            field: field.into(),
            description: description.into(),
        }])
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        use Error as E;
        match error {
            E::Path(PathNotNormal) => bad("PATH_NOT_NORMAL", "The path is not in normal form."),
            E::TargetTooLong => problem(
                StatusCode::URI_TOO_LONG,
                "TARGET_TOO_LONG",
                "The address is too long.",
            ),
            E::HostMalformed => bad("HOST_MALFORMED", "The request does not name one host."),
            E::HostUnknown => problem(
                StatusCode::MISDIRECTED_REQUEST,
                "HOST_UNKNOWN",
                "This server does not answer for that host.",
            ),
            E::NotFound => problem(StatusCode::NOT_FOUND, "NOT_FOUND", "There is nothing here."),
            E::MethodNotAllowed(allow) => problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "That method is not for this address.",
            )
            .with_allow(allow),
            E::Credential(error) => credential(error),
            E::Csrf(error) => csrf(error),
            E::MediaType => problem(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "MEDIA_TYPE_NOT_SUPPORTED",
                "The body must be application/json.",
            ),
            E::ContentEncoding => problem(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "CONTENT_ENCODING_NOT_SUPPORTED",
                "The body must not be compressed.",
            ),
            E::BodyNotAllowed => bad("BODY_NOT_ALLOWED", "This request takes no body."),
            E::BodyTooLarge => problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "BODY_TOO_LARGE",
                "The body is longer than this address takes.",
            )
            .closing(),
            E::BodyLate => problem(
                StatusCode::REQUEST_TIMEOUT,
                "BODY_LATE",
                "The body did not arrive in time.",
            )
            .closing(),
            E::BodyBroken(_) => bad("BODY_BROKEN", "The body broke off.").closing(),
            E::Json(error) => json(&error),
            E::Fields(errors) => {
                bad("FIELD_INVALID", "Some fields are not acceptable.").with_fields(errors)
            }
            E::SessionRequired => session_required(),
            E::Overloaded => away("OVERLOADED", "Too many requests are under way."),
            E::Late => problem(
                StatusCode::GATEWAY_TIMEOUT,
                "TIMEOUT",
                "The request took too long.",
            ),
            E::NotReady => away("NOT_READY", "The services are not known yet."),
            E::Crashed => crashed(),
            E::Exchange(error) => exchange(error),
            E::Ended(why) => ended(why),
            E::Auth(status) => from_auth(&status),
            E::AuthAnswer(what) => {
                tracing::error!(
                    reason = "auth_answer",
                    what,
                    "the auth service answered nonsense"
                );
                crashed()
            }
        }
    }
}

fn problem(status: StatusCode, reason: &'static str, detail: &str) -> Problem {
    Problem::new(status, reason, detail)
}

fn bad(reason: &'static str, detail: &str) -> Problem {
    problem(StatusCode::BAD_REQUEST, reason, detail)
}

/// Something that we need is away. The cookie stays: an outage is never a logout.
fn away(reason: &'static str, detail: &str) -> Problem {
    problem(StatusCode::SERVICE_UNAVAILABLE, reason, detail).with_retry_after(RETRY_SOON)
}

fn crashed() -> Problem {
    problem(
        StatusCode::INTERNAL_SERVER_ERROR,
        "INTERNAL",
        "Something went wrong on our side.",
    )
}

fn session_required() -> Problem {
    problem(
        StatusCode::UNAUTHORIZED,
        "SESSION_REQUIRED",
        "Sign in first.",
    )
    .with_challenge(SIGN_IN)
}

fn credential(error: CredentialError) -> Problem {
    match error {
        CredentialError::SeveralCookies
        | CredentialError::SeveralAuthorizations
        | CredentialError::CookieAndAuthorization => bad(
            "CREDENTIAL_AMBIGUOUS",
            "The request carries more than one credential; send exactly one.",
        ),
        CredentialError::BearerNotAccepted => problem(
            StatusCode::UNAUTHORIZED,
            "BEARER_NOT_ACCEPTED",
            "This address accepts the session cookie only.",
        )
        .with_challenge(r#"Bearer realm="latchkey", error="invalid_token""#),
    }
}

fn csrf(error: CsrfError) -> Problem {
    let detail = match error {
        CsrfError::OtherSite | CsrfError::OtherOrigin => "Another site made this request.",
        CsrfError::NoProof => {
            "The request does not show where it comes from: send Sec-Fetch-Site or Origin."
        }
    };
    problem(StatusCode::FORBIDDEN, "CSRF_REFUSED", detail)
}

/// serde's own words can repeat a value, and the value can be a password.
fn json(error: &serde_json::Error) -> Problem {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Io | Category::Syntax | Category::Eof => "The body is not valid JSON",
        Category::Data => {
            "The body has a member that is unknown, missing, repeated or of another type"
        }
    };
    let detail = format!("{what} (line {}, column {}).", error.line(), error.column());
    bad("BODY_MALFORMED", &detail)
}

/// The end of what was already open. Whoever asks again learns whether the session is
/// over; a revoked key ends streams too, and nobody's session.
fn ended(why: Ended) -> Problem {
    match why {
        Ended::Revoked | Ended::Expired => authorization_ended(),
        Ended::SessionOver => session_required(),
        Ended::Unknown => revocations_unknown(),
    }
}

fn authorization_ended() -> Problem {
    away(
        "AUTHORIZATION_ENDED",
        "The permission for this request has ended; ask again.",
    )
}

fn revocations_unknown() -> Problem {
    away(
        "REVOCATIONS_UNAVAILABLE",
        "Sessions cannot be checked at the moment.",
    )
}

fn exchange(error: ExchangeError) -> Problem {
    match error {
        ExchangeError::SessionInvalid => session_required(),
        ExchangeError::Replaced => problem(
            StatusCode::UNAUTHORIZED,
            "SESSION_REPLACED",
            "Somebody signed in meanwhile; try again.",
        )
        .with_challenge(SIGN_IN),
        ExchangeError::Away(status) => {
            tracing::warn!(reason = "auth_away", error = %status, "no token: auth service is away");
            away("UNAVAILABLE", "Sessions cannot be checked at the moment.")
        }
        ExchangeError::Late => {
            tracing::warn!(reason = "auth_late", "no token: auth service is late");
            away("UNAVAILABLE", "Sessions cannot be checked at the moment.")
        }
        ExchangeError::Overloaded => away("OVERLOADED", "Too many requests are under way."),
        ExchangeError::Superseded => away(
            "SESSION_CHANGING",
            "The session is being changed; try again.",
        ),
        ExchangeError::RevocationsUnknown(why) => {
            tracing::warn!(reason = "revocations_unknown", "no token is used: {why}");
            revocations_unknown()
        }
        // Ours to mend, and for the client the same as an outage: whoever it is has
        // done nothing wrong and must not be signed out.
        ExchangeError::Refused(status) => {
            tracing::error!(
                reason = "auth_refused",
                code = ?status.code(),
                message = status.message(),
                "the auth service refuses this gateway; check workload key and settings"
            );
            away("UNAVAILABLE", "Sessions cannot be checked at the moment.")
        }
        ExchangeError::BadAnswer(what) => {
            tracing::error!(
                reason = "auth_answer",
                what,
                "the auth service answered nonsense"
            );
            crashed()
        }
        ExchangeError::Crashed => {
            tracing::error!(reason = "exchange_crashed", "an exchange's task panicked");
            crashed()
        }
    }
}

#[cfg(test)]
mod tests;
