use super::*;

#[track_caller]
fn check(text: &str, accepted: bool) {
    assert_eq!(RequestId::parse(text).is_some(), accepted, "{text:?}");
}

#[test]
fn accepts_what_is_harmless() {
    check("a", true);
    check("0196f3a2-7c1e-7000-8000-0123456789ab", true);
    check("Root_1.2-3", true);
    check(&"x".repeat(64), true);
}

#[test]
fn refuses_the_rest() {
    check("", false);
    check(&"x".repeat(65), false);
    for text in ["a b", "a\nb", "a\u{1b}[31m", "<b>", "ä", "a;b", "a\0"] {
        check(text, false);
    }
}

#[test]
fn two_headers_are_none() {
    let mut headers = HeaderMap::new();
    headers.append(HEADER, HeaderValue::from_static("one"));
    assert_eq!(RequestId::from_headers(&headers).unwrap().as_str(), "one");
    headers.append(HEADER, HeaderValue::from_static("two"));
    assert_eq!(RequestId::from_headers(&headers), None);
}

#[tokio::test]
async fn is_current_inside_its_scope_only() {
    let id = RequestId::new();
    let seen = id.clone().scope(async { RequestId::current() }).await;
    assert_eq!(seen, Some(id));
    assert_eq!(RequestId::current(), None);
}
