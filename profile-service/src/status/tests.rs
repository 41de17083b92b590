use std::io;

use chassis::status::{reason_of, retry_delay_of, violations_of};
use tonic::{Code, Status};

use crate::{
    grpc::CallError,
    store::{StoreError, UpdateError},
};

#[track_caller]
fn check(error: impl Into<CallError>, code: Code, reason: &str) -> Status {
    let status = Status::from(error.into());
    assert_eq!(
        (status.code(), reason_of(&status).as_deref()),
        (code, Some(reason))
    );
    status
}

fn secret() -> Box<io::Error> {
    Box::new(io::Error::other("SELECT secret FROM /var/lib/profile.db"))
}

#[test]
fn refusals_have_stable_reasons() {
    check(
        CallError::SessionRequired,
        Code::PermissionDenied,
        "SESSION_REQUIRED",
    );
    check(
        UpdateError::GuestMerged,
        Code::FailedPrecondition,
        "GUEST_MERGED",
    );
}

#[test]
fn every_violation_is_listed() {
    let violations = vec![("theme", "bad".to_owned()), ("locale", "worse".to_owned())];
    let status = check(
        CallError::Invalid(violations),
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
    );
    let listed = violations_of(&status);
    assert_eq!(
        listed,
        [
            ("theme".into(), "bad".into()),
            ("locale".into(), "worse".into())
        ]
    );
}

#[test]
fn an_outage_says_when_to_try_again_and_nothing_else() {
    let status = check(
        StoreError::Unavailable(secret()),
        Code::Unavailable,
        "STORE_UNAVAILABLE",
    );
    assert_eq!(
        retry_delay_of(&status).map(|delay| delay.as_secs()),
        Some(1)
    );
    assert_eq!(status.message(), "profiles are not available at the moment");
}

#[test]
fn our_own_mistakes_tell_strangers_nothing() {
    let status = check(StoreError::Broken(secret()), Code::Internal, "INTERNAL");
    assert_eq!(status.message(), "internal error");
    assert!(!String::from_utf8_lossy(status.details()).contains("profile.db"));
}
