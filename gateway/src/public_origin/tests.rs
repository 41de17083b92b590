use super::*;

fn origin(text: &str) -> Result<String, PublicOriginError> {
    text.parse::<PublicOrigin>()
        .map(|origin| origin.to_string())
}

#[test]
fn reads_origins_and_writes_them_as_browsers_do() {
    for (text, expected) in [
        ("https://shop.example", "https://shop.example"),
        ("https://Shop.Example:443", "https://shop.example"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://localhost:80", "http://localhost"),
        ("http://app.localhost:3000", "http://app.localhost:3000"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ] {
        assert_eq!(origin(text), Ok(expected.to_owned()), "{text}");
    }
}

#[test]
fn refuses_what_is_no_origin() {
    for text in [
        "",
        "shop.example",
        "//shop.example",
        "ftp://shop.example",
        "https://shop.example/",
        "https://shop.example/path",
        "https://shop.example?q",
        "https://user@shop.example",
        "https://shop.example:0443",
        "https://shop.example:99999",
        "*",
        "null",
    ] {
        assert_eq!(origin(text), Err(PublicOriginError::Malformed), "{text}");
    }
}

#[test]
fn refuses_plain_http_beyond_loopback() {
    for text in [
        "http://shop.example",
        "http://10.0.0.1:8080",
        "http://localhost.example",
    ] {
        assert_eq!(origin(text), Err(PublicOriginError::NotSecure), "{text}");
    }
}

#[test]
fn compares_authorities_whole() {
    let local: PublicOrigin = "http://localhost:8080".parse().unwrap();
    let shop: PublicOrigin = "https://shop.example".parse().unwrap();
    for (origin, authority, expected) in [
        (&local, "localhost:8080", true),
        (&local, "LOCALHOST:8080", true),
        (&local, "localhost", false),
        (&local, "localhost:80", false),
        (&local, "localhost:08080", false),
        (&local, "localhost.:8080", false),
        (&local, "localhost:8080@evil.example", false),
        (&local, "evil@localhost:8080", false),
        (&local, "localhost:8080.evil.example", false),
        (&shop, "shop.example", true),
        (&shop, "shop.example:443", true),
        (&shop, "shop.example:80", false),
        (&shop, "shop.example.evil.example", false),
        (&shop, "notshop.example", false),
        (&shop, "", false),
        (&shop, ":443", false),
    ] {
        assert_eq!(
            origin.has_authority(authority),
            expected,
            "{origin} {authority}"
        );
    }
}
