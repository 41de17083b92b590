use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

const SECRET: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn headers(lines: &[(&str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value).unwrap(),
        );
    }
    headers
}

fn read(lines: &[(&str, &[u8])]) -> Result<Option<String>, CredentialError> {
    from_headers(&headers(lines)).map(|credential| credential.session().map(|s| s.expose().into()))
}

fn cookie(value: &str) -> Result<Option<String>, CredentialError> {
    read(&[("cookie", value.as_bytes())])
}

#[test]
fn finds_the_session_among_other_cookies() {
    let expected = Ok(Some(SECRET.to_owned()));
    assert_eq!(cookie(&format!("{SESSION_COOKIE}={SECRET}")), expected);
    assert_eq!(
        cookie(&format!("a=b; {SESSION_COOKIE}={SECRET};c=d;;=;e")),
        expected
    );
    assert_eq!(
        cookie(&format!("$Version=1;{SESSION_COOKIE}={SECRET}; $Path=/")),
        expected
    );
    let second = format!("{SESSION_COOKIE}={SECRET}");
    assert_eq!(
        read(&[("cookie", b"a=b"), ("cookie", second.as_bytes())]),
        expected
    );
}

#[test]
fn nothing_of_ours_is_no_credential() {
    for value in [
        String::new(),
        "=;;;=".into(),
        SESSION_COOKIE.into(),
        format!("__host-http-session={SECRET}"),
        format!("__HoSt-Http-session={SECRET}"),
        format!("__Host-session={SECRET}"),
        format!("{SESSION_COOKIE} ={SECRET}"),
        format!("x{SESSION_COOKIE}={SECRET}"),
    ] {
        assert_eq!(cookie(&value), Ok(None), "{value}");
    }
}

#[test]
fn malformed_values_are_treated_as_none() {
    for value in [
        "",
        "AAAA",
        // One letter less and one more.
        &SECRET[1..],
        &format!("{SECRET}A"),
        // Non-zero trailing bits: a second spelling of the same bytes.
        &format!("{}B", &SECRET[1..]),
        &format!("\"{SECRET}\""),
        &format!("{}=", &SECRET[1..]),
        &format!("{}+", &SECRET[1..]),
        &format!("{}%00", &SECRET[3..]),
        "' OR 1=1 --",
        &"A".repeat(64 * 1024),
    ] {
        assert_eq!(
            cookie(&format!("{SESSION_COOKIE}={value}")),
            Ok(None),
            "{value:.60}"
        );
    }
    let mut bytes = format!("{SESSION_COOKIE}=").into_bytes();
    bytes.extend([0xff; 43]);
    assert_eq!(read(&[("cookie", &bytes)]), Ok(None));
}

#[test]
fn two_of_ours_are_ambiguous_whatever_they_hold() {
    let good = format!("{SESSION_COOKIE}={SECRET}");
    let evil = format!("{SESSION_COOKIE}=evil");
    for value in [
        format!("{good}; {evil}"),
        format!("{evil}; {good}"),
        format!("{good}; {good}"),
        format!("{evil}; a=b; {evil}"),
    ] {
        assert_eq!(
            cookie(&value),
            Err(CredentialError::SeveralCookies),
            "{value}"
        );
    }
    assert_eq!(
        read(&[("cookie", good.as_bytes()), ("cookie", evil.as_bytes())]),
        Err(CredentialError::SeveralCookies)
    );
}

#[test]
fn authorization_is_refused_alone_and_beside_a_cookie() {
    let ours = format!("{SESSION_COOKIE}={SECRET}");
    let malformed = format!("{SESSION_COOKIE}=x");
    for (lines, expected) in [
        (
            vec![("authorization", &b"Bearer x"[..])],
            CredentialError::BearerNotAccepted,
        ),
        (
            vec![("authorization", b"Basic x"), ("cookie", b"a=b")],
            CredentialError::BearerNotAccepted,
        ),
        (
            vec![("authorization", b"Bearer x"), ("cookie", ours.as_bytes())],
            CredentialError::CookieAndAuthorization,
        ),
        (
            vec![("cookie", malformed.as_bytes()), ("authorization", b"")],
            CredentialError::CookieAndAuthorization,
        ),
        (
            vec![
                ("authorization", b"Bearer x"),
                ("authorization", b"Bearer y"),
            ],
            CredentialError::SeveralAuthorizations,
        ),
    ] {
        assert_eq!(read(&lines), Err(expected), "{lines:?}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let secret = SessionSecret::parse(SECRET).unwrap();
    let shown = format!("{:?} {:?}", secret.hash(), Credential::Session(secret));
    assert!(!shown.contains("AAAA"), "{shown}");
}
