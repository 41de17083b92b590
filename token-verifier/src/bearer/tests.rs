use http::HeaderValue;

use super::*;

fn read(values: &[&'static [u8]]) -> Result<String, &'static str> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
    }
    token(&headers).map(str::to_owned).map_err(|e| e.reason())
}

#[test]
fn takes_the_one_bearer_token_whatever_the_case_of_the_scheme() {
    for value in [
        "Bearer a.b.c",
        "bearer a.b.c",
        "BEARER a.b.c",
        "bEARER   a.b.c",
    ] {
        assert_eq!(read(&[value.as_bytes()]), Ok("a.b.c".to_owned()), "{value}");
    }
}

// TJ-29, GR-02.
#[test]
fn refuses_everything_else() {
    for (values, reason) in [
        (&[][..], "missing"),
        (&[&b""[..]], "missing"),
        (&[b"Bearer"], "missing"),
        (&[b"Bearer "], "missing"),
        (&[b"Bearer    "], "missing"),
        (&[b"Basic dXNlcjpwYXNz"], "wrong_scheme"),
        (&[b"DPoP a.b.c"], "wrong_scheme"),
        (&[b"a.b.c"], "wrong_scheme"),
        (&[b" Bearer a.b.c"], "wrong_scheme"),
        (&[b"Bearer\ta.b.c"], "wrong_scheme"),
        (&[b"Bearer \xff"], "malformed"),
        (&[b"Bearera.b.c"], "wrong_scheme"),
        (&[b"Bearer a.b.c, Bearer d.e.f"], "ambiguous"),
        (&[b"Bearer a.b.c,d"], "ambiguous"),
        (&[b"Bearer a.b.c", b"Bearer a.b.c"], "ambiguous"),
        (&[b"Bearer a.b.c", b""], "ambiguous"),
        (&[b"", b"Bearer a.b.c"], "ambiguous"),
        (&[b"Basic x", b"Bearer a.b.c"], "ambiguous"),
    ] {
        let shown = values
            .iter()
            .map(|v| String::from_utf8_lossy(v))
            .collect::<Vec<_>>();
        assert_eq!(read(values), Err(reason), "{shown:?}");
    }
}

#[test]
fn refuses_the_binary_spelling_even_beside_a_good_one() {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION_BIN, HeaderValue::from_static("Zm9v"));
    assert_eq!(token(&headers).unwrap_err().reason(), "ambiguous");
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer a.b.c"));
    assert_eq!(token(&headers).unwrap_err().reason(), "ambiguous");
}
