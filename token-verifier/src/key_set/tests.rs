use serde_json::{Value, json};

use super::*;

/// RFC 8037 A.2.
fn ed25519(kid: &str) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid,
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

/// RFC 7515 A.3.1.
fn p256(kid: &str) -> Value {
    json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})
}

fn rsa(kid: &str) -> Value {
    json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": "AQAB", "e": "AQAB"})
}

fn with(mut key: Value, member: &str, value: impl Into<Value>) -> Value {
    key[member] = value.into();
    key
}

fn without(mut key: Value, member: &str) -> Value {
    key.as_object_mut().unwrap().remove(member);
    key
}

fn read(keys: &[Value]) -> Result<KeySet, JwksError> {
    KeySet::from_json(json!({ "keys": keys }).to_string().as_bytes())
}

#[track_caller]
fn check(keys: &[Value], kids: &[&str]) {
    assert_eq!(read(keys).unwrap().kids().collect::<Vec<_>>(), kids);
}

#[track_caller]
fn refuses(keys: &[Value], expected: fn(&JwksError) -> bool) {
    let error = read(keys).unwrap_err();
    assert!(expected(&error), "{error:?}");
}

#[test]
fn reads_both_kinds() {
    check(&[p256("b"), ed25519("a")], &["a", "b"]);
    let set = read(&[p256("b"), ed25519("a")]).unwrap();
    assert_eq!(set.get("a").unwrap().algorithm, Algorithm::EdDsa);
    assert_eq!(set.get("b").unwrap().algorithm, Algorithm::Es256);
}

#[test]
fn use_and_alg_may_be_absent() {
    check(&[without(without(ed25519("a"), "use"), "alg")], &["a"]);
    check(&[with(ed25519("a"), "key_ops", json!(["verify"]))], &["a"]);
}

// TJ-17: an `enc` key never verifies.
#[test]
fn passes_over_what_is_of_no_use() {
    let enc = json!({"kty": "EC", "crv": "P-256", "use": "enc", "alg": "ECDH-ES", "kid": "enc",
        "x": p256("")["x"], "y": p256("")["y"]});
    let x25519 = json!({"kty": "OKP", "crv": "X25519", "kid": "x", "x": ed25519("")["x"]});
    let p384 = json!({"kty": "EC", "crv": "P-384", "kid": "p384", "x": "AA", "y": "AA"});
    let unnamed = without(ed25519(""), "kid");
    let wraps = with(ed25519("ops"), "key_ops", json!(["wrapKey"]));
    let future = json!({"kty": "AKP", "kid": "pq", "alg": "ML-DSA-44", "pub": "AA"});
    check(
        &[
            rsa("r"),
            enc,
            x25519,
            p384,
            unnamed,
            wraps,
            future,
            ed25519("good"),
        ],
        &["good"],
    );
}

// TJ-23.
#[test]
fn refuses_private_members_in_any_key() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        for key in [
            ed25519("b"),
            p256("b"),
            rsa("b"),
            json!({"kty": "new", "kid": "b"}),
        ] {
            let key = with(key, member, "AA");
            refuses(&[ed25519("a"), key], |e| {
                matches!(e, JwksError::PrivateMember(_))
            });
        }
    }
}

#[test]
fn refuses_symmetric_keys() {
    let oct = json!({"kty": "oct", "kid": "b"});
    refuses(&[ed25519("a"), oct], |e| matches!(e, JwksError::Symmetric));
}

#[test]
fn refuses_two_keys_of_one_name_even_if_one_is_of_no_use() {
    let duplicate = |e: &JwksError| matches!(e, JwksError::DuplicateKid(kid) if kid == "a");
    refuses(&[ed25519("a"), p256("a")], duplicate);
    refuses(&[ed25519("a"), ed25519("a")], duplicate);
    refuses(&[rsa("a"), ed25519("a")], duplicate);
}

#[test]
fn refuses_a_key_that_contradicts_itself() {
    for (key, alg) in [
        (ed25519("a"), "ES256"),
        (ed25519("a"), "eddsa"),
        (ed25519("a"), "HS256"),
        (ed25519("a"), "none"),
        (p256("a"), "EdDSA"),
        (p256("a"), "ES384"),
        (p256("a"), ""),
    ] {
        let key = with(key, "alg", alg);
        refuses(&[key], |e| matches!(e, JwksError::WrongAlgorithm { .. }));
    }
}

#[test]
fn refuses_members_of_wrong_types() {
    for member in ["kty", "kid", "use", "alg", "crv", "x", "key_ops"] {
        for value in [json!(1), json!(null), json!({}), json!(true)] {
            let key = with(ed25519("a"), member, value);
            refuses(&[key], |e| matches!(e, JwksError::Member(_)));
        }
    }
    refuses(&[without(ed25519("a"), "kty")], |e| {
        matches!(e, JwksError::Member("kty"))
    });
    refuses(&[without(ed25519("a"), "x")], |e| {
        matches!(e, JwksError::Member("x"))
    });
    refuses(&[without(p256("a"), "y")], |e| {
        matches!(e, JwksError::Member("y"))
    });
    refuses(&[ed25519("")], |e| matches!(e, JwksError::Member("kid")));
    refuses(&[ed25519(&"k".repeat(129))], |e| {
        matches!(e, JwksError::Member("kid"))
    });
    assert!(read(&[ed25519(&"k".repeat(128))]).is_ok());
}

#[test]
fn refuses_coordinates_that_are_not_canonical() {
    let x = ed25519("")["x"].as_str().unwrap().to_owned();
    for bad in [
        format!("{x}="),
        x.replace('_', "/"),
        format!("{} ", &x[..42]),
        format!("{}p", &x[..42]),
    ] {
        refuses(&[with(ed25519("a"), "x", bad)], |e| {
            matches!(e, JwksError::Coordinate { .. })
        });
    }
    for bad in ["", "AA", &x[..40], &format!("{x}AAA")] {
        let key = with(ed25519("a"), "x", bad);
        refuses(&[key], |e| {
            matches!(e, JwksError::Member("x") | JwksError::Coordinate { .. })
        });
    }
}

#[test]
fn refuses_points_off_the_curve() {
    let key = with(p256("a"), "y", p256("")["x"].clone());
    refuses(&[key], |e| matches!(e, JwksError::WeakPoint { .. }));
    let zero = "A".repeat(43);
    let key = with(with(p256("a"), "x", zero.as_str()), "y", zero.as_str());
    refuses(&[key], |e| matches!(e, JwksError::WeakPoint { .. }));
}

#[test]
fn refuses_points_of_small_order_in_every_spelling() {
    use base64::Engine as _;
    let p_minus = |low: u8| {
        let mut y = [0xff; 32];
        (y[0], y[31]) = (low, 0x7f);
        y
    };
    let mut points = ed25519_point::SMALL_ORDER.to_vec();
    points.extend((0xec..=0xff).map(p_minus));
    for mut point in points {
        for sign in [0x00, 0x80] {
            point[31] = point[31] & 0x7f | sign;
            let x = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(point);
            let key = with(ed25519("a"), "x", x);
            refuses(&[key], |e| matches!(e, JwksError::WeakPoint { .. }));
        }
    }
}

/// Why the check above is ours to make: the library takes the identity as a key, and
/// under it one signature holds for every message.
#[test]
fn the_library_would_let_strangers_sign_under_the_identity() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let key = ParsedPublicKey::new(Algorithm::EdDsa.verification(), identity).unwrap();
    assert!(key.verify_sig(b"anything", &signature).is_ok());
}

#[test]
fn refuses_documents_of_the_wrong_shape() {
    for document in [
        &b""[..],
        b"null",
        b"[]",
        b"{}",
        b"{\"keys\":null}",
        b"{\"keys\":{}}",
        b"{\"keys\":[1]}",
        b"{\"keys\":[null]}",
        b"{\"keys\":[[]]}",
        b"{\"keys\":[]}",
        b"{\"keys\":[],\"keys\":[]}",
        b"<html>not found</html>",
        b"\xef\xbb\xbf{\"keys\":[]}",
    ] {
        let shown = String::from_utf8_lossy(document);
        assert!(KeySet::from_json(document).is_err(), "{shown}");
    }
    refuses(&[], |e| matches!(e, JwksError::NoUsableKey));
    refuses(&[rsa("r")], |e| matches!(e, JwksError::NoUsableKey));
}

#[test]
fn refuses_a_member_that_stands_twice_in_a_key() {
    let key = ed25519("a").to_string();
    let document = format!("{{\"keys\":[{{\"kid\":\"b\",{}]}}", &key[1..]);
    let error = KeySet::from_json(document.as_bytes()).unwrap_err();
    assert!(matches!(error, JwksError::Json(_)), "{error:?}");
}

#[test]
fn bounds_the_number_of_keys_and_the_size() {
    let keys: Vec<_> = (0..33).map(|n| ed25519(&n.to_string())).collect();
    assert!(read(&keys[..32]).is_ok());
    refuses(&keys, |e| matches!(e, JwksError::TooManyKeys));
    let pad = |size: usize| {
        let document = json!({"keys": [ed25519("a")]}).to_string();
        format!("{document}{}", " ".repeat(size - document.len()))
    };
    assert!(KeySet::from_json(pad(MAX_JWKS_BYTES).as_bytes()).is_ok());
    let error = KeySet::from_json(pad(MAX_JWKS_BYTES + 1).as_bytes()).unwrap_err();
    assert!(matches!(error, JwksError::TooLarge));
}
