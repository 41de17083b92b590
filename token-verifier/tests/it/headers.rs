//! What the header may say, and what it may not.

use std::io::ErrorKind;
use std::net::TcpListener;

use serde_json::{Value, json};
use token_verifier::KeySet;
use token_verifier::testing::TestIssuer;

use crate::stage::{ISSUER, Stage, prefixed};

// TJ-03.
#[test]
fn rejects_tokens_that_bring_or_point_to_a_key_and_fetches_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let stage = Stage::new();
    for (member, value) in [
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("jwk", stage.issuer.jwk()),
        ("x5c", json!(["MIIB"])),
        ("jku", json!(null)),
        ("jwk", json!({})),
    ] {
        let header = prefixed(&stage.header(), &format!("\"{member}\":{value}"));
        let token = stage.issuer.sign(header, stage.claims().to_string());
        stage.rejects(&token, "forbidden_header");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn rejects_a_token_signed_with_the_key_it_brings() {
    let stage = Stage::new();
    let stranger = TestIssuer::new(ISSUER);
    let mut header = stranger.default_header();
    header["jwk"] = stranger.jwk();
    stage.rejects(
        &stranger.token_with(header, stage.claims()),
        "forbidden_header",
    );
}

// TJ-04.
#[test]
fn rejects_any_crit() {
    let stage = Stage::new();
    for crit in [
        json!([]),
        json!(["exp"]),
        json!(["b64"]),
        json!(["alg"]),
        json!("exp"),
        json!(null),
        json!({}),
        json!(false),
    ] {
        let header = prefixed(&stage.header(), &format!("\"crit\":{crit}"));
        let token = stage.issuer.sign(header, stage.claims().to_string());
        stage.rejects(&token, "critical_header");
    }
    let twice = prefixed(&stage.header(), r#""crit":["exp"],"crit":["exp"]"#);
    stage.rejects(
        &stage.issuer.sign(twice, stage.claims().to_string()),
        "malformed",
    );
}

#[test]
fn rejects_unencoded_payloads() {
    let stage = Stage::new();
    stage.rejects(&stage.with_header("b64", false), "forbidden_header");
    let mut header = stage.header();
    header["b64"] = false.into();
    header["crit"] = json!(["b64"]);
    stage.rejects(
        &stage.issuer.token_with(header, stage.claims()),
        "critical_header",
    );
}

// TJ-05.
#[test]
fn rejects_wrong_type() {
    let stage = Stage::new();
    for typ in [
        "JWT",
        "jwt",
        "",
        "at",
        "at+jwt ",
        " at+jwt",
        "at+jwt; charset=utf-8",
        "application/jwt",
        "x/at+jwt",
        "application/application/at+jwt",
        "txntoken+jwt",
        "client-authentication+jwt",
        "logout+jwt",
        "dpop+jwt",
        "rt+jwt",
        "JOSE",
        "at+JWT\u{0}",
    ] {
        stage.rejects(&stage.with_header("typ", typ), "wrong_type");
    }
    stage.rejects(&stage.with_header("typ", json!(null)), "wrong_type");
    for typ in [json!(1), json!(["at+jwt"]), json!({}), json!(true)] {
        stage.rejects(&stage.with_header("typ", typ), "malformed");
    }
}

#[test]
fn accepts_both_spellings_of_the_type_in_any_case() {
    let stage = Stage::new();
    for typ in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/AT+jwt",
    ] {
        stage.accepts(&stage.with_header("typ", typ));
    }
}

// TJ-11.
#[test]
fn rejects_nested_compressed_and_encrypted() {
    let stage = Stage::new();
    for (member, value) in [
        ("cty", "JWT"),
        ("cty", "json"),
        ("zip", "DEF"),
        ("enc", "A256GCM"),
    ] {
        stage.rejects(&stage.with_header(member, value), "forbidden_header");
    }
}

// TJ-12.
#[test]
fn rejects_header_members_that_stand_twice() {
    let stage = Stage::new();
    for member in [
        r#""alg":"EdDSA""#,
        r#""alg":"none""#,
        r#""kid":"other""#,
        r#""typ":"JWT""#,
        r#""typ":"at+jwt""#,
        r#""\u0061lg":"EdDSA""#,
        r#""x":1,"x":2"#,
    ] {
        let header = prefixed(&stage.header(), member);
        stage.rejects(
            &stage.issuer.sign(header, stage.claims().to_string()),
            "malformed",
        );
    }
}

// TJ-16.
#[test]
fn rejects_unknown_kid() {
    let stage = Stage::new();
    let own = stage.issuer.kid().to_owned();
    for kid in [
        "",
        "other",
        "../../../../dev/null",
        "/etc/passwd",
        "' OR '1'='1",
        "\"; cat /etc/passwd; \"",
        "http://127.0.0.1:1/jwks",
        "kid\r\nset-cookie: a=b",
        "\u{1b}[2J",
        "\0",
        "%00",
        "${jndi:ldap://x}",
        &own.to_lowercase(),
        &own[..own.len() - 1],
        &format!("{own} "),
        &format!("{own}\0"),
        &"k".repeat(128),
    ] {
        stage.rejects(&stage.with_header("kid", kid), "unknown_kid");
    }
}

#[test]
fn rejects_missing_kid_even_if_there_is_but_one_key() {
    let stage = Stage::new();
    stage.rejects(&stage.with_header("kid", json!(null)), "missing_kid");
}

#[test]
fn rejects_kid_of_a_wrong_type_or_size() {
    let stage = Stage::new();
    let own: Value = stage.issuer.kid().into();
    for kid in [
        json!(1),
        json!([own]),
        json!({"kid": own}),
        json!(true),
        json!("k".repeat(129)),
    ] {
        stage.rejects(&stage.with_header("kid", kid), "malformed");
    }
    let null = prefixed(&json!({"typ": "at+jwt", "alg": "EdDSA"}), "\"kid\":null");
    stage.rejects(
        &stage.issuer.sign(null, stage.claims().to_string()),
        "malformed",
    );
}

// TJ-17.
#[test]
fn rejects_another_current_keys_signature_under_this_kid() {
    let (first, second) = (TestIssuer::new(ISSUER), TestIssuer::new(ISSUER));
    let document = json!({"keys": [first.jwk(), second.jwk()]}).to_string();
    let stage = Stage::with_keys(first, KeySet::from_json(document.as_bytes()).unwrap());
    stage.accepts(&stage.token());
    stage.accepts(&second.token_with(second.default_header(), stage.claims()));
    let swapped = second.token_with(stage.header(), stage.claims());
    stage.rejects(&swapped, "bad_signature");
}

#[test]
fn rejects_a_key_for_encryption_though_it_signs() {
    let (signing, encrypting) = (TestIssuer::new(ISSUER), TestIssuer::es256(ISSUER));
    let mut jwk = encrypting.jwk();
    jwk["use"] = "enc".into();
    let document = json!({"keys": [signing.jwk(), jwk]}).to_string();
    let stage = Stage::with_keys(signing, KeySet::from_json(document.as_bytes()).unwrap());
    let token = encrypting.token_with(encrypting.default_header(), stage.claims());
    stage.rejects(&token, "unknown_kid");
}

#[test]
fn ignores_header_members_that_mean_nothing() {
    let stage = Stage::new();
    stage.accepts(&stage.with_header("x", json!({"y": [1]})));
    stage.accepts(&stage.with_header("x5t", "AA"));
}
