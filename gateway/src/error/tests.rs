use std::collections::HashMap;

use axum::response::IntoResponse as _;
use http::header;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;

fn document(problem: &Problem) -> serde_json::Value {
    serde_json::from_slice(&problem.to_json("id-1")).unwrap()
}

#[test]
fn upstream_codes_become_the_houses_statuses() {
    for (code, expected) in [
        (Code::InvalidArgument, 400),
        (Code::OutOfRange, 400),
        (Code::NotFound, 404),
        (Code::AlreadyExists, 409),
        (Code::Aborted, 409),
        (Code::FailedPrecondition, 409),
        (Code::PermissionDenied, 403),
        (Code::ResourceExhausted, 429),
        (Code::Unimplemented, 501),
        (Code::Unavailable, 503),
        (Code::DeadlineExceeded, 504),
        (Code::Internal, 502),
        (Code::Unknown, 502),
        (Code::DataLoss, 502),
        (Code::Cancelled, 502),
        // Never a 401: that would sign people out for our own mistake.
        (Code::Unauthenticated, 502),
    ] {
        let problem = from_upstream("cart", &Status::new(code, "secret words"));
        assert_eq!(problem.status().as_u16(), expected, "{code:?}");
        let passes = (400..500).contains(&expected);
        let shown = document(&problem)["detail"]
            .as_str()
            .unwrap()
            .contains("secret words");
        assert_eq!(shown, passes, "{code:?}");
        let response = problem.into_response();
        let retry = response.headers().contains_key(header::RETRY_AFTER);
        assert_eq!(retry, matches!(expected, 429 | 503), "{code:?}");
    }
}

#[test]
fn reasons_and_violations_pass() {
    let mut details = ErrorDetails::with_error_info("QUANTITY_LIMIT", "latchkey", HashMap::new());
    details.add_bad_request_violation("quantity", "at most 99");
    details.set_retry_info(Some(Duration::from_millis(1500)));
    let status = Status::with_error_details(Code::InvalidArgument, "no\nway", details.clone());
    let problem = document(&from_upstream("cart", &status));
    assert_eq!(problem["reason"], "QUANTITY_LIMIT");
    assert_eq!(problem["detail"], "no way");
    assert_eq!(problem["request_id"], "id-1");
    assert_eq!(problem["errors"][0]["field"], "quantity");

    let status = Status::with_error_details(Code::ResourceExhausted, "slow", details.clone());
    let response = from_upstream("cart", &status).into_response();
    assert_eq!(response.headers()[header::RETRY_AFTER], "2");

    let status = Status::with_error_details(Code::Internal, "boom", details);
    let problem = document(&from_upstream("cart", &status));
    assert_eq!(problem["reason"], "UPSTREAM_FAILED");
    assert!(problem.get("errors").is_none());
}

#[test]
fn odd_reasons_do_not_pass() {
    for odd in ["", "lower", "A B", "A\r\nB", &"A".repeat(65)] {
        let details = ErrorDetails::with_error_info(odd, "latchkey", HashMap::new());
        let status = Status::with_error_details(Code::NotFound, "", details);
        assert_eq!(
            from_upstream("cart", &status).reason(),
            "NOT_FOUND",
            "{odd}"
        );
    }
}

fn auth(code: Code, reason: &str) -> (u16, String) {
    let details = ErrorDetails::with_error_info(reason, "latchkey", HashMap::new());
    let problem = from_auth(&Status::with_error_details(code, "words", details));
    (problem.status().as_u16(), problem.reason().to_owned())
}

#[test]
fn auth_statuses_tell_our_faults_from_the_persons() {
    for (code, reason, status, expected) in [
        (Code::Unauthenticated, "LOGIN_REFUSED", 401, "LOGIN_REFUSED"),
        (
            Code::Unauthenticated,
            "SESSION_INVALID",
            401,
            "SESSION_REQUIRED",
        ),
        (
            Code::Unauthenticated,
            "ASSERTION_EXPIRED",
            503,
            "UNAVAILABLE",
        ),
        (
            Code::PermissionDenied,
            "PASSWORD_WRONG",
            403,
            "PASSWORD_WRONG",
        ),
        (
            Code::PermissionDenied,
            "WORKLOAD_MAY_NOT",
            503,
            "UNAVAILABLE",
        ),
        (Code::AlreadyExists, "EMAIL_TAKEN", 409, "EMAIL_TAKEN"),
        (
            Code::FailedPrecondition,
            "ALREADY_SIGNED_IN",
            409,
            "ALREADY_SIGNED_IN",
        ),
        (Code::ResourceExhausted, "TOO_MANY", 429, "TOO_MANY"),
        (Code::Unavailable, "STORE", 503, "UNAVAILABLE"),
        (Code::DeadlineExceeded, "", 503, "UNAVAILABLE"),
        (Code::Internal, "", 500, "INTERNAL"),
    ] {
        assert_eq!(
            auth(code, reason),
            (status, expected.to_owned()),
            "{code:?} {reason}"
        );
    }
}

#[test]
fn json_errors_do_not_repeat_values() {
    let error = serde_json::from_str::<Vec<u8>>(r#"["hunter2-canary"]"#).unwrap_err();
    let problem = Problem::from(Error::Json(error));
    assert!(!document(&problem).to_string().contains("hunter2"));
}

#[test]
fn no_outage_is_a_401() {
    let status = std::sync::Arc::new(Status::unauthenticated("assertion"));
    for error in [
        ExchangeError::Away(status.clone()),
        ExchangeError::Refused(status),
        ExchangeError::Late,
        ExchangeError::Overloaded,
        ExchangeError::Superseded,
    ] {
        let problem = Problem::from(Error::Exchange(error));
        assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            problem
                .into_response()
                .headers()
                .contains_key(header::RETRY_AFTER)
        );
    }
}

/// What a service's door says.
fn refused(code: Code, reason: &str, domain: &str, audience: Option<&str>) -> Status {
    let who = audience.map(|audience| ("audience".to_owned(), audience.to_owned()));
    let metadata: std::collections::HashMap<String, String> = who.into_iter().collect();
    let details = ErrorDetails::with_error_info(reason, domain, metadata);
    Status::with_error_details(code, "no", details)
}

#[test]
fn only_what_was_refused_at_the_door_is_asked_again() {
    const OURS: &str = "latchkey";
    const CART: Option<&str> = Some("cart-service");
    let no = Code::Unauthenticated;
    for (status, is_refused, is_asked_again) in [
        (refused(no, "TOKEN_INVALID", OURS, CART), true, true),
        // What the handler was told by somebody else's door.
        (refused(no, "TOKEN_INVALID", OURS, Some("b")), true, false),
        (refused(no, "TOKEN_INVALID", OURS, None), true, false),
        (refused(no, "TOKEN_INVALID", "other", CART), true, false),
        // A handler may have done half of its work.
        (refused(no, "TOKEN_ENDED", OURS, CART), false, false),
        (refused(no, "OTHER", OURS, CART), true, false),
        (Status::unauthenticated("no"), true, false),
        (
            refused(Code::Unavailable, "TOKEN_INVALID", OURS, CART),
            false,
            false,
        ),
    ] {
        assert_eq!(is_refused_token(&status), is_refused, "{status:?}");
        let again = may_ask_again(&status, "cart-service");
        assert_eq!(again, is_asked_again, "{status:?}");
    }
    let ended = from_upstream("cart", &refused(no, "TOKEN_ENDED", OURS, None));
    assert_eq!(ended.status(), 503);
    assert_eq!(ended.reason(), "AUTHORIZATION_ENDED");
}
