use super::*;

#[test]
fn reason_survives_the_wire() {
    let sent = status(Code::Unavailable, "STORE_UNAVAILABLE", "try later");
    let received = over_the_wire(&sent);
    assert_eq!(received.code(), Code::Unavailable);
    assert_eq!(received.message(), "try later");
    assert_eq!(reason_of(&received).as_deref(), Some("STORE_UNAVAILABLE"));
}

#[test]
fn retry_delay_survives_the_wire() {
    let sent = retry_after(
        Code::ResourceExhausted,
        "TOO_MANY",
        "slow",
        Duration::from_secs(7),
    );
    let received = over_the_wire(&sent);
    assert_eq!(retry_delay_of(&received), Some(Duration::from_secs(7)));
    assert_eq!(reason_of(&received).as_deref(), Some("TOO_MANY"));
}

#[test]
fn violations_survive_the_wire() {
    let sent = invalid(vec![("theme", "not a theme"), ("locale", "too long")]);
    let received = over_the_wire(&sent);
    assert_eq!(received.code(), Code::InvalidArgument);
    let expected = [("theme", "not a theme"), ("locale", "too long")];
    assert_eq!(
        violations_of(&received),
        expected.map(|(f, d)| (f.to_owned(), d.to_owned()))
    );
}

#[test]
fn reason_of_another_domain_is_not_ours() {
    let details = ErrorDetails::with_error_info("X", "example.com", HashMap::new());
    let foreign = Status::with_error_details(Code::Internal, "", details);
    assert_eq!(reason_of(&foreign), None);
}

#[test]
fn garbage_details_count_as_absent() {
    let garbage = Status::with_details(Code::Internal, "", vec![0xff; 40].into());
    assert_eq!(reason_of(&garbage), None);
    assert_eq!(retry_delay_of(&garbage), None);
    assert!(violations_of(&garbage).is_empty());
    assert_eq!(reason_of(&Status::internal("plain")), None);
}

fn over_the_wire(status: &Status) -> Status {
    let response = status.clone().into_http::<tonic::body::Body>();
    Status::from_header_map(response.headers()).expect("a trailers-only response holds a status")
}
