//! The border to gRPC: which status a caller sees for each way to fail.
//!
//! The one file that names status codes. Every match is exhaustive, so that a new
//! way to fail stops the build here. What the cause was goes to the log, once,
//! from here; callers get a plain sentence and a stable reason.

use std::error::Error;
use std::time::Duration;

use tonic::{Code, Status};

use crate::access_token::AccessTokenError;
use crate::accounts::{ChangePasswordError, LoginError, RegisterError, Violation};
use crate::operator::OperatorError;
use crate::revocations::WatchEnd;
use crate::sessions::CreateGuestError;
use crate::signing_keys::KeeperError;
use crate::store::StoreError;
use crate::tokens::TokenError;
use crate::workload::AssertionError;

/// A store that is locked or restarting is usually back by then.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// By then the oldest remembered assertions have gone.
const ASSERTIONS_RETRY: Duration = Duration::from_secs(1);

/// The secret opens no live session: malformed, unknown, expired and ended alike.
pub(crate) fn session_invalid() -> Status {
    refusal(
        Code::Unauthenticated,
        "SESSION_INVALID",
        "no live session has this secret",
    )
}

/// Not `SESSION_INVALID`: a caller that forgets the session for this would forget the
/// one that took its place.
fn session_replaced() -> Status {
    refusal(
        Code::Unauthenticated,
        "SESSION_REPLACED",
        "the session has another secret by now",
    )
}

/// The settings do not let this workload call this method, or there is no such method.
pub(crate) fn workload_not_allowed() -> Status {
    let message = "this workload may not call this method";
    refusal(Code::PermissionDenied, "WORKLOAD_NOT_ALLOWED", message)
}

/// The subject has no live session with that id.
pub(crate) fn session_not_found() -> Status {
    let message = "this subject has no live session with that id";
    refusal(Code::NotFound, "SESSION_NOT_FOUND", message)
}

/// The message does not decode. The chassis says so of what tonic decodes.
pub(crate) fn undecodable() -> Status {
    let message = "the request message is malformed";
    refusal(Code::InvalidArgument, "MALFORMED_MESSAGE", message)
}

/// Our bug. What it is stands in the log.
pub(crate) fn internal() -> Status {
    refusal(Code::Internal, "INTERNAL", "internal error")
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable(_) => unavailable(&error),
            StoreError::Corrupt { .. } | StoreError::Internal(_) => bug(&error),
        }
    }
}

impl From<RegisterError> for Status {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Invalid(violations) => invalid(violations),
            RegisterError::EmailTaken => {
                let message = "the e-mail address is taken";
                refusal(Code::AlreadyExists, "EMAIL_TAKEN", message)
            }
            RegisterError::AlreadySignedIn => already_signed_in(),
            RegisterError::TooMany { retry_after } => too_many(retry_after),
            RegisterError::Shed { retry_after } => shed(retry_after),
            RegisterError::Store(error) => error.into(),
            error @ RegisterError::Internal(_) => bug(&error),
        }
    }
}

impl From<LoginError> for Status {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Invalid(violations) => invalid(violations),
            LoginError::Refused => {
                let message = "the e-mail address or the password is wrong";
                refusal(Code::Unauthenticated, "LOGIN_REFUSED", message)
            }
            LoginError::AlreadySignedIn => already_signed_in(),
            LoginError::TooMany { retry_after } => too_many(retry_after),
            LoginError::Shed { retry_after } => shed(retry_after),
            LoginError::Store(error) => error.into(),
            error @ LoginError::Internal(_) => bug(&error),
        }
    }
}

impl From<ChangePasswordError> for Status {
    fn from(error: ChangePasswordError) -> Self {
        match error {
            ChangePasswordError::Invalid(violations) => invalid(violations),
            ChangePasswordError::SessionInvalid => session_invalid(),
            ChangePasswordError::PasswordWrong => {
                let message = "the current password is wrong";
                refusal(Code::PermissionDenied, "PASSWORD_WRONG", message)
            }
            ChangePasswordError::TooMany { retry_after } => too_many(retry_after),
            ChangePasswordError::Shed { retry_after } => shed(retry_after),
            ChangePasswordError::Store(error) => error.into(),
            error @ ChangePasswordError::Internal(_) => bug(&error),
        }
    }
}

impl From<CreateGuestError> for Status {
    fn from(error: CreateGuestError) -> Self {
        match error {
            CreateGuestError::TooMany { retry_after } => too_many(retry_after),
            CreateGuestError::Store(error) => error.into(),
        }
    }
}

impl From<OperatorError> for Status {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::SessionNotFound => {
                let message = "there is no session with this id";
                refusal(Code::NotFound, "SESSION_NOT_FOUND", message)
            }
            OperatorError::AccountNotFound => {
                let message = "there is no such account";
                refusal(Code::NotFound, "ACCOUNT_NOT_FOUND", message)
            }
            OperatorError::Store(error) => error.into(),
        }
    }
}

impl From<WatchEnd> for Status {
    fn from(end: WatchEnd) -> Self {
        match end {
            WatchEnd::TooSlow => refusal(
                Code::ResourceExhausted,
                "WATCHER_TOO_SLOW",
                "the caller took too little for too long",
            ),
            WatchEnd::Stopping => {
                let message = "this instance stops";
                refusal(Code::Unavailable, "STOPPING", message)
            }
            WatchEnd::Replaced => {
                let message = "the revocation log was replaced";
                refusal(Code::Unavailable, "LOG_REPLACED", message)
            }
            WatchEnd::Store(error) => error.into(),
        }
    }
}

impl From<KeeperError> for Status {
    fn from(error: KeeperError) -> Self {
        match error {
            KeeperError::Store(error) => error.into(),
            KeeperError::TooMany => refusal(
                Code::FailedPrecondition,
                "KEYS_TOO_MANY",
                "as many keys as verifiers can hold are published; wait for one to be deleted",
            ),
            KeeperError::NotFound { .. } => {
                let message = "there is no signing key with this kid";
                refusal(Code::NotFound, "KEY_NOT_FOUND", message)
            }
            KeeperError::Contended => chassis::status::retry_after(
                Code::Unavailable,
                "KEYS_CONTENDED",
                "other instances keep changing the keys",
                STORE_RETRY,
            ),
            error @ KeeperError::Keys(_) => bug(&error),
        }
    }
}

impl From<AccessTokenError> for Status {
    fn from(error: AccessTokenError) -> Self {
        match error {
            AccessTokenError::SessionEnding => session_invalid(),
            error @ AccessTokenError::Claims(_) => bug(&error),
        }
    }
}

impl From<TokenError> for Status {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::AudienceUnknown => audience_unknown(),
            TokenError::SessionInvalid => session_invalid(),
            TokenError::SessionReplaced => session_replaced(),
            TokenError::NoSigner => no_signer(),
            TokenError::Store(error) => error.into(),
            TokenError::Issue(error) => error.into(),
        }
    }
}

impl From<AssertionError> for Status {
    fn from(error: AssertionError) -> Self {
        match error {
            // One answer for all: which it was stands in the log. Not the reason of a
            // session that is over: nobody must be signed out by it.
            AssertionError::Missing
            | AssertionError::Malformed
            | AssertionError::TooLarge
            | AssertionError::WrongType
            | AssertionError::WrongAlgorithm
            | AssertionError::UnknownKey
            | AssertionError::BadSignature
            | AssertionError::WrongIssuer
            | AssertionError::WrongAudience
            | AssertionError::Expired
            | AssertionError::NotYetValid
            | AssertionError::Lifetime
            | AssertionError::Claims
            | AssertionError::Replayed => {
                let message = "a valid client assertion is required";
                refusal(Code::Unauthenticated, "WORKLOAD_UNAUTHENTICATED", message)
            }
            AssertionError::TooMany => chassis::status::retry_after(
                Code::Unavailable,
                "TOO_MANY_ASSERTIONS",
                "too many calls within a minute",
                ASSERTIONS_RETRY,
            ),
        }
    }
}

fn refusal(code: Code, reason: &'static str, message: &str) -> Status {
    chassis::status::status(code, reason, message)
}

/// No token is made for such an audience.
fn audience_unknown() -> Status {
    let message = "the settings name no such audience";
    refusal(Code::InvalidArgument, "AUDIENCE_UNKNOWN", message)
}

fn invalid(violations: Vec<Violation>) -> Status {
    chassis::status::invalid(violations.into_iter().map(|it| (it.field, it.description)))
}

fn already_signed_in() -> Status {
    let message = "the current session is a person's";
    refusal(Code::FailedPrecondition, "ALREADY_SIGNED_IN", message)
}

fn too_many(retry_after: Duration) -> Status {
    let message = "too many attempts";
    chassis::status::retry_after(
        Code::ResourceExhausted,
        "TOO_MANY_ATTEMPTS",
        message,
        retry_after,
    )
}

fn shed(retry_after: Duration) -> Status {
    let message = "too many sign-ins at the moment";
    chassis::status::retry_after(
        Code::ResourceExhausted,
        "HASHING_BUSY",
        message,
        retry_after,
    )
}

fn unavailable(error: &(dyn Error + 'static)) -> Status {
    tracing::warn!(
        error,
        reason = "store_unavailable",
        "the store is unavailable"
    );
    let message = "the store is unavailable";
    chassis::status::retry_after(Code::Unavailable, "STORE_UNAVAILABLE", message, STORE_RETRY)
}

/// The keys come back with the store, or with the right key-encryption key.
fn no_signer() -> Status {
    tracing::warn!(reason = "no_signer", "no signing key may be used");
    let message = "no token can be signed at the moment";
    chassis::status::retry_after(
        Code::Unavailable,
        "SIGNING_UNAVAILABLE",
        message,
        STORE_RETRY,
    )
}

fn bug(error: &(dyn Error + 'static)) -> Status {
    tracing::error!(error, reason = "internal", "a call failed by our fault");
    internal()
}

#[cfg(test)]
mod tests;
