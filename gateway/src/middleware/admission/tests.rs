use http::HeaderValue;

use super::*;

fn named(version: Version, uri: &str, hosts: &[&'static str]) -> Option<String> {
    let mut headers = HeaderMap::new();
    for host in hosts {
        headers.append(header::HOST, HeaderValue::from_static(host));
    }
    authority(version, &uri.parse().unwrap(), &headers).ok()
}

#[test]
fn names_exactly_one_host() {
    let (one, two) = (Version::HTTP_11, Version::HTTP_2);
    for (version, uri, hosts, expected) in [
        (one, "/", &["localhost:8080"][..], Some("localhost:8080")),
        (one, "/", &[], None),
        (one, "/", &[""], None),
        (one, "/", &["localhost:8080", "localhost:8080"], None),
        (one, "/", &["localhost:8080", "evil.example"], None),
        (one, "http://localhost:8080/", &["localhost:8080"], None),
        (one, "http://evil.example/", &["localhost:8080"], None),
        (two, "http://localhost:8080/", &[], Some("localhost:8080")),
        (
            two,
            "http://localhost:8080/",
            &["LOCALHOST:8080"],
            Some("localhost:8080"),
        ),
        (two, "http://localhost:8080/", &["evil.example"], None),
        (two, "/", &["localhost:8080"], Some("localhost:8080")),
        (two, "/", &[], None),
    ] {
        assert_eq!(
            named(version, uri, hosts).as_deref(),
            expected,
            "{version:?} {uri} {hosts:?}"
        );
    }
}

#[test]
fn headers_pass_by_name_only() {
    let mut headers = HeaderMap::new();
    for name in [
        "x-user-id",
        "x_user_id",
        "x-internal-token",
        "txn-token",
        "x-forwarded-user",
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "grpc-metadata-a",
        "grpc-timeout",
        "a-bin",
        "x-http-method-override",
        "te",
        "connection",
        "x-request-id",
        "traceparent",
        "host",
        "proxy-authorization",
        "cookie2",
        "accept",
        "cookie",
    ] {
        headers.append(name, HeaderValue::from_static("x"));
    }
    headers.append("cookie", HeaderValue::from_static("y"));
    let kept = allowed(&headers);
    let names: Vec<&str> = kept.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["cookie", "accept"]);
    assert_eq!(kept.get_all("cookie").iter().count(), 2);
}
