use super::Owner;

const USER: &str = "usr_018f4e2a-7b1c-7d3e-8f40-5a6b7c8d9e0f";
const OTHER: &str = "usr_018f4e2a-7b1c-7d3e-8f40-000000000002";
const GUEST: &str = "gst_018f4e2a-7b1c-7d3e-8f40-000000000003";
const OTHER_GUEST: &str = "gst_018f4e2a-7b1c-7d3e-8f40-000000000004";

#[track_caller]
fn check(subject: &str, prior: Option<&str>, expected: Option<(&str, Option<&str>)>) {
    let owner = Owner::for_test(subject, prior);
    let seen = owner.as_ref().map(|owner| {
        (
            owner.subject().as_str(),
            owner.guest().map(|guest| guest.as_str()),
        )
    });
    assert_eq!(seen, expected);
}

#[test]
fn a_person_takes_over_a_guest() {
    check(USER, None, Some((USER, None)));
    check(USER, Some(GUEST), Some((USER, Some(GUEST))));
}

#[test]
fn a_person_never_takes_over_a_person_or_a_workload() {
    check(USER, Some(OTHER), Some((USER, None)));
    check(USER, Some(USER), Some((USER, None)));
    check(USER, Some("svc_gateway"), Some((USER, None)));
    check(USER, Some("anonymous"), Some((USER, None)));
}

#[test]
fn a_guest_takes_over_nobody() {
    check(GUEST, None, Some((GUEST, None)));
    check(GUEST, Some(OTHER_GUEST), Some((GUEST, None)));
    check(GUEST, Some(USER), Some((GUEST, None)));
}

#[test]
fn anonymous_and_workloads_own_nothing() {
    check("anonymous", None, None);
    check("anonymous", Some(GUEST), None);
    check("svc_gateway", None, None);
    check("svc_gateway", Some(GUEST), None);
}
