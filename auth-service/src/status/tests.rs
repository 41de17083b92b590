use chassis::status::{reason_of, retry_delay_of, violations_of};

use super::*;

const DELAY: Duration = Duration::from_secs(7);

#[track_caller]
fn check(status: impl Into<Status>, code: Code, reason: &str) -> Status {
    let status = status.into();
    assert_eq!(
        (status.code(), reason_of(&status).as_deref()),
        (code, Some(reason))
    );
    status
}

fn away() -> StoreError {
    StoreError::Unavailable("disk I/O error in /var/lib/secret".into())
}

#[test]
fn an_outage_is_never_a_logout() {
    for status in [
        check(away(), Code::Unavailable, "STORE_UNAVAILABLE"),
        check(
            RegisterError::Store(away()),
            Code::Unavailable,
            "STORE_UNAVAILABLE",
        ),
        check(
            LoginError::Store(away()),
            Code::Unavailable,
            "STORE_UNAVAILABLE",
        ),
        check(
            ChangePasswordError::Store(away()),
            Code::Unavailable,
            "STORE_UNAVAILABLE",
        ),
        check(
            CreateGuestError::Store(away()),
            Code::Unavailable,
            "STORE_UNAVAILABLE",
        ),
        check(
            OperatorError::Store(away()),
            Code::Unavailable,
            "STORE_UNAVAILABLE",
        ),
    ] {
        assert_eq!(retry_delay_of(&status), Some(STORE_RETRY));
        assert!(!status.message().contains("secret"), "{status:?}");
    }
    check(
        AssertionError::TooMany,
        Code::Unavailable,
        "TOO_MANY_ASSERTIONS",
    );
}

#[test]
fn our_bugs_say_nothing_of_themselves() {
    let bug = || "panicked at src/secret.rs".into();
    let corrupt = StoreError::Corrupt {
        table: "sessions",
        source: bug(),
    };
    for status in [
        check(corrupt, Code::Internal, "INTERNAL"),
        check(StoreError::Internal(bug()), Code::Internal, "INTERNAL"),
        check(RegisterError::Internal(bug()), Code::Internal, "INTERNAL"),
        check(LoginError::Internal(bug()), Code::Internal, "INTERNAL"),
        check(
            ChangePasswordError::Internal(bug()),
            Code::Internal,
            "INTERNAL",
        ),
    ] {
        assert_eq!(status.message(), "internal error");
    }
}

#[test]
fn limits_say_when_to_come_back() {
    let (code, retry_after) = (Code::ResourceExhausted, DELAY);
    for status in [
        check(
            RegisterError::TooMany { retry_after },
            code,
            "TOO_MANY_ATTEMPTS",
        ),
        check(
            LoginError::TooMany { retry_after },
            code,
            "TOO_MANY_ATTEMPTS",
        ),
        check(
            ChangePasswordError::TooMany { retry_after },
            code,
            "TOO_MANY_ATTEMPTS",
        ),
        check(
            CreateGuestError::TooMany { retry_after },
            code,
            "TOO_MANY_ATTEMPTS",
        ),
        check(RegisterError::Shed { retry_after }, code, "HASHING_BUSY"),
        check(LoginError::Shed { retry_after }, code, "HASHING_BUSY"),
        check(
            ChangePasswordError::Shed { retry_after },
            code,
            "HASHING_BUSY",
        ),
    ] {
        assert_eq!(retry_delay_of(&status), Some(DELAY));
    }
}

#[test]
fn refusals_have_the_reasons_of_the_protocol() {
    check(
        RegisterError::EmailTaken,
        Code::AlreadyExists,
        "EMAIL_TAKEN",
    );
    check(
        RegisterError::AlreadySignedIn,
        Code::FailedPrecondition,
        "ALREADY_SIGNED_IN",
    );
    check(
        LoginError::AlreadySignedIn,
        Code::FailedPrecondition,
        "ALREADY_SIGNED_IN",
    );
    check(LoginError::Refused, Code::Unauthenticated, "LOGIN_REFUSED");
    check(
        ChangePasswordError::PasswordWrong,
        Code::PermissionDenied,
        "PASSWORD_WRONG",
    );
    check(
        ChangePasswordError::SessionInvalid,
        Code::Unauthenticated,
        "SESSION_INVALID",
    );
    check(
        AccessTokenError::SessionEnding,
        Code::Unauthenticated,
        "SESSION_INVALID",
    );
    check(
        AssertionError::Missing,
        Code::Unauthenticated,
        "WORKLOAD_UNAUTHENTICATED",
    );
}

#[test]
fn violations_name_their_fields() {
    let violation = Violation {
        field: "email",
        description: "needs one @".to_owned(),
    };
    let status = check(
        RegisterError::Invalid(vec![violation]),
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
    );
    assert_eq!(
        violations_of(&status),
        [("email".to_owned(), "needs one @".to_owned())]
    );
}
