use std::io;

use chassis::status::{reason_of, retry_delay_of, violations_of};
use tonic::{Code, Status};

use crate::{
    cart::{CartError, priced::TotalOverflow},
    grpc::CallError,
    store::{ChangeError, StoreError},
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
    Box::new(io::Error::other("SELECT secret FROM /var/lib/cart.db"))
}

#[test]
fn refusals_have_stable_reasons() {
    use Code::{FailedPrecondition, NotFound, PermissionDenied};

    check(
        CallError::SessionRequired,
        PermissionDenied,
        "SESSION_REQUIRED",
    );
    check(ChangeError::GuestMerged, FailedPrecondition, "GUEST_MERGED");
    let refused = ChangeError::Refused;
    check(
        refused(CartError::QuantityLimit),
        FailedPrecondition,
        "QUANTITY_LIMIT",
    );
    check(refused(CartError::Full), FailedPrecondition, "CART_FULL");
    check(refused(CartError::LineNotFound), NotFound, "LINE_NOT_FOUND");
}

#[test]
fn every_violation_is_listed() {
    let violations = vec![("sku", "bad".to_owned()), ("quantity", "worse".to_owned())];
    let status = check(
        CallError::Invalid(violations),
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
    );
    let listed = violations_of(&status);
    assert_eq!(
        listed,
        [
            ("sku".into(), "bad".into()),
            ("quantity".into(), "worse".into())
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
    assert_eq!(status.message(), "carts are not available at the moment");
}

#[test]
fn our_own_mistakes_tell_strangers_nothing() {
    let damaged = StoreError::Damaged {
        subject: "usr_x".into(),
        source: secret(),
    };
    for error in [
        CallError::from(StoreError::Broken(secret())),
        CallError::from(damaged),
        CallError::from(TotalOverflow),
        CallError::from(ChangeError::Refused(CartError::DuplicateLine)),
    ] {
        let status = check(error, Code::Internal, "INTERNAL");
        assert_eq!(status.message(), "internal error");
        assert!(!String::from_utf8_lossy(status.details()).contains("cart.db"));
    }
}
