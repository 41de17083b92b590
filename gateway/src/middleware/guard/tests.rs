use super::*;

fn media_type(values: &[&'static str], has_body: bool) -> bool {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::CONTENT_TYPE, HeaderValue::from_static(value));
    }
    check_media_type(&headers, has_body).is_ok()
}

#[test]
fn only_json_is_a_body() {
    for good in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json; charset=\"utf-8\"",
    ] {
        assert!(media_type(&[good], true), "{good}");
    }
    for bad in [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json-patch+json",
        "application/problem+json",
        "text/plain; application/json",
        "application/json, text/plain",
        "application/json; charset=latin1",
        "application/json; boundary=x",
        "application/json;",
        "application / json",
    ] {
        assert!(!media_type(&[bad], true), "{bad}");
        assert!(!media_type(&[bad], false), "{bad}");
    }
    assert!(!media_type(&["application/json", "application/json"], true));
    assert!(!media_type(&[], true));
    assert!(media_type(&[], false));
}

#[test]
fn user_agents_are_cut_and_cleaned() {
    assert_eq!(printable(b"Mozilla/5.0 \xff\t"), "Mozilla/5.0 ??");
    assert_eq!(printable(&[b'a'; 1000]).len(), 256);
}
