//! The text of a token: TJ-09, TJ-10, TJ-11.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::stage::Stage;

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn rejects_nothing_at_all_as_missing() {
    Stage::new().rejects("", "missing");
}

#[test]
fn rejects_anything_but_three_parts() {
    let stage = Stage::new();
    let token = stage.token();
    let [header, payload, signature] = parts(&token);
    for text in [
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        "a".to_owned(),
        "a.b.c".to_owned(),
        header.to_owned(),
        format!("{header}.{payload}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{token}.{signature}.{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}..{payload}.{signature}"),
    ] {
        stage.rejects(&text, "malformed");
    }
}

#[test]
fn rejects_a_detached_payload() {
    let stage = Stage::new();
    let token = stage.token();
    let [header, _, signature] = parts(&token);
    stage.rejects(&format!("{header}..{signature}"), "bad_signature");
    stage.rejects(
        &stage.issuer.sign(stage.header().to_string(), ""),
        "claims_invalid",
    );
}

#[test]
fn rejects_json_serialisations() {
    let stage = Stage::new();
    let token = stage.token();
    let [header, payload, signature] = parts(&token);
    let flattened = json!({"protected": header, "payload": payload, "signature": signature});
    let general = json!({
        "payload": payload,
        "signatures": [{"protected": header, "signature": signature}],
    });
    stage.rejects(&flattened.to_string(), "malformed");
    stage.rejects(&general.to_string(), "malformed");
    // A JSON serialisation that is a compact one too, for a reader that guesses.
    stage.rejects(&format!("{{\"x\":\"{token}\"}}"), "malformed");
}

#[test]
fn rejects_characters_outside_the_alphabet() {
    let stage = Stage::new();
    let token = stage.token();
    for character in [
        "=", "+", "/", " ", "\t", "\n", "\r", "\0", "%", "\"", ",", "é", "\u{feff}", "．",
        "A\u{301}",
    ] {
        for at in [
            0,
            10,
            token.find('.').unwrap(),
            token.len() - 1,
            token.len(),
        ] {
            let mut text = token.clone();
            text.insert_str(at, character);
            stage.rejects(&text, "malformed");
        }
    }
}

#[test]
fn rejects_padding() {
    let stage = Stage::new();
    for extra in 0..3 {
        let claims = stage.with_claim("x", "a".repeat(extra));
        for part in 0..3 {
            let mut padded = parts(&claims).map(str::to_owned);
            let bytes = URL_SAFE_NO_PAD.decode(&padded[part]).unwrap();
            let text = URL_SAFE.encode(bytes);
            if text != padded[part] {
                padded[part] = text;
                stage.rejects(&padded.join("."), "malformed");
            }
        }
    }
}

#[test]
fn rejects_the_other_base64_alphabet() {
    let stage = Stage::new();
    let token = stage.with_claim("x", "~~~???>>>");
    let standard: Vec<_> = parts(&token)
        .iter()
        .map(|part| {
            STANDARD
                .encode(URL_SAFE_NO_PAD.decode(part).unwrap())
                .replace('=', "")
        })
        .collect();
    assert_ne!(standard.join("."), token);
    stage.rejects(&standard.join("."), "malformed");
}

#[test]
fn rejects_trailing_bits_in_any_part() {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let stage = Stage::new();
    let mut tried = 0;
    for extra in 0..3 {
        let token = stage.with_header("x", "a".repeat(extra));
        for part in 0..3 {
            let mut spelled = parts(&token).map(str::to_owned);
            if spelled[part].len() % 4 == 0 {
                continue;
            }
            let last = spelled[part].pop().unwrap();
            let value = ALPHABET
                .iter()
                .position(|c| char::from(*c) == last)
                .unwrap();
            spelled[part].push(char::from(ALPHABET[value | 1]));
            stage.rejects(&spelled.join("."), "malformed");
            tried += 1;
        }
    }
    assert!(tried >= 4);
}

#[test]
fn rejects_an_impossible_length() {
    let stage = Stage::new();
    let token = stage.token();
    let [header, payload, _] = parts(&token);
    stage.rejects(&format!("{header}.{payload}.A"), "malformed");
    stage.rejects(&format!("{header}.A.AAAA"), "malformed");
}

#[test]
fn rejects_headers_that_are_no_json_object() {
    let stage = Stage::new();
    let header = stage.header().to_string();
    for bytes in [
        b"".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"EdDSA\"".to_vec(),
        b"{".to_vec(),
        format!("{header}{header}").into(),
        format!("{header}\0").into(),
        format!("\u{feff}{header}").into(),
        header.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        header
            .replace("at+jwt", "\u{7f}")
            .replace('\u{7f}', "\n")
            .into(),
        [&header.as_bytes()[..header.len() - 1], b",\"x\":\"\xff\"}"].concat(),
    ] {
        stage.rejects(
            &stage.issuer.sign(bytes, stage.claims().to_string()),
            "malformed",
        );
    }
}

#[test]
fn rejects_too_large() {
    let stage = Stage::new();
    stage.rejects(&stage.with_claim("x", "a".repeat(7_000)), "too_large");
    stage.rejects(&stage.with_header("x", "a".repeat(800)), "too_large");
    stage.rejects(&"a".repeat(8 * 1024 + 1), "too_large");
    stage.rejects(&"a".repeat(8 * 1024), "malformed");
    stage.rejects(&".".repeat(10_000_000), "too_large");
}

#[test]
fn accepts_what_is_large_but_not_too_large() {
    let stage = Stage::new();
    let base = stage.with_claim("x", "").len();
    let token = stage.with_claim("x", "a".repeat((8 * 1024 - base) / 4 * 3 - 8));
    assert!(
        token.len() > 8 * 1024 - 40 && token.len() <= 8 * 1024,
        "{}",
        token.len()
    );
    stage.accepts(&token);
    stage.accepts(&stage.with_header("x", "a".repeat(600)));
}

#[test]
fn rejects_deep_json() {
    let stage = Stage::new();
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let with = |object: &serde_json::Value, depth: usize| {
        format!("{{\"x\":{},{}", deep(depth), &object.to_string()[1..])
    };
    let (header, claims) = (stage.header(), stage.claims());
    stage.rejects(
        &stage.issuer.sign(with(&header, 200), claims.to_string()),
        "malformed",
    );
    stage.rejects(
        &stage.issuer.sign(header.to_string(), with(&claims, 8)),
        "claims_invalid",
    );
    stage.rejects(
        &stage.issuer.sign(header.to_string(), with(&claims, 2_500)),
        "claims_invalid",
    );
    stage.accepts(&stage.issuer.sign(header.to_string(), with(&claims, 7)));
}
