use super::*;

fn verdict(lines: &[(&'static str, &'static str)]) -> Result<(), CsrfError> {
    let own: [PublicOrigin; 2] = [
        "https://shop.example".parse().unwrap(),
        "http://localhost:8080".parse().unwrap(),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    check(&headers, own.iter())
}

#[test]
fn our_own_pages_pass() {
    for lines in [
        &[("sec-fetch-site", "same-origin")][..],
        &[
            ("sec-fetch-site", "same-origin"),
            ("origin", "https://shop.example"),
        ],
        // A form post from a page with `Referrer-Policy: no-referrer`.
        &[("sec-fetch-site", "same-origin"), ("origin", "null")],
        &[("origin", "https://shop.example")],
        &[("origin", "http://localhost:8080")],
    ] {
        assert_eq!(verdict(lines), Ok(()), "{lines:?}");
    }
}

#[test]
fn other_sites_are_refused() {
    for site in [
        "cross-site",
        "same-site",
        "none",
        "",
        "Same-Origin",
        "same-origin, cross-site",
    ] {
        let lines = [("sec-fetch-site", site), ("origin", "https://shop.example")];
        assert_eq!(verdict(&lines), Err(CsrfError::OtherSite), "{site}");
    }
    let twice = [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "same-origin"),
    ];
    assert_eq!(verdict(&twice), Err(CsrfError::OtherSite));
}

#[test]
fn other_origins_are_refused() {
    for origin in [
        "null",
        "",
        "https://evil.example",
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example:443",
        "https://shop.example.",
        "https://shop.example/",
        "https://shop.example.evil.example",
        "https://evilshop.example",
        "https://a.shop.example",
        "https://SHOP.example",
        "http://localhost:80801",
        "http://localhost",
        "https://shop.example https://shop.example",
    ] {
        assert_eq!(
            verdict(&[("origin", origin)]),
            Err(CsrfError::OtherOrigin),
            "{origin}"
        );
    }
    let twice = [
        ("origin", "https://shop.example"),
        ("origin", "https://shop.example"),
    ];
    assert_eq!(verdict(&twice), Err(CsrfError::OtherOrigin));
}

#[test]
fn without_proof_is_refused() {
    assert_eq!(verdict(&[]), Err(CsrfError::NoProof));
    assert_eq!(
        verdict(&[("referer", "https://shop.example/")]),
        Err(CsrfError::NoProof)
    );
}

#[test]
fn only_reading_methods_are_safe() {
    for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
        assert!(is_safe(&method.parse().unwrap()), "{method}");
    }
    for method in [
        "POST", "PUT", "PATCH", "DELETE", "CONNECT", "PROPFIND", "get",
    ] {
        assert!(!is_safe(&method.parse().unwrap()), "{method}");
    }
}
