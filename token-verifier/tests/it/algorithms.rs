//! Algorithms and signatures: TJ-01, TJ-02, TJ-14.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use token_verifier::testing::TestIssuer;

use crate::stage::{ISSUER, Stage};

#[test]
fn accepts_both_algorithms() {
    for issuer in [TestIssuer::new(ISSUER), TestIssuer::es256(ISSUER)] {
        let stage = Stage::of(issuer);
        stage.accepts(&stage.token());
    }
}

#[test]
fn rejects_alg_none() {
    let stage = Stage::new();
    for alg in ["none", "None", "NONE", "nOnE", "none ", ""] {
        let token = stage.with_header("alg", alg);
        stage.rejects(&token, "wrong_algorithm");
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        stage.rejects(&format!("{unsigned}."), "wrong_algorithm");
    }
}

#[test]
fn rejects_missing_or_untyped_alg() {
    let stage = Stage::new();
    stage.rejects(&stage.with_header("alg", json!(null)), "wrong_algorithm");
    for alg in [
        json!(1),
        json!(["EdDSA"]),
        json!({"alg": "EdDSA"}),
        json!(false),
    ] {
        stage.rejects(&stage.with_header("alg", alg), "malformed");
    }
}

#[test]
fn rejects_every_algorithm_but_the_keys() {
    for issuer in [TestIssuer::new(ISSUER), TestIssuer::es256(ISSUER)] {
        let stage = Stage::of(issuer);
        for alg in [
            "HS256",
            "HS384",
            "HS512",
            "RS256",
            "RS384",
            "RS512",
            "PS256",
            "PS384",
            "PS512",
            "ES256",
            "ES384",
            "ES512",
            "ES256K",
            "EdDSA",
            "Ed25519",
            "Ed448",
            "eddsa",
            "EDDSA",
            "es256",
            "Es256",
            "EdDSA ",
            " ES256",
            "ML-DSA-44",
            "dir",
            "RSA-OAEP",
        ] {
            if alg != stage.issuer.algorithm().name() {
                stage.rejects(&stage.with_header("alg", alg), "wrong_algorithm");
            }
        }
    }
}

/// Every form in which our public key might be taken for a shared secret.
fn secrets(issuer: &TestIssuer) -> Vec<Vec<u8>> {
    let jwk = issuer.jwk();
    let x = jwk["x"].as_str().unwrap();
    let raw = URL_SAFE_NO_PAD.decode(x).unwrap();
    let mut der = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".to_vec();
    der.extend(&raw);
    let base64 = STANDARD.encode(&der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n");
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        raw.clone(),
        x.into(),
        STANDARD.encode(&raw).into(),
        hex.to_uppercase().into(),
        hex.into(),
        der,
        base64.into(),
        pem.trim_end().into(),
        pem.replace('\n', "\r\n").into(),
        pem.into(),
        jwk.to_string().into(),
        issuer.jwks_json().into(),
        issuer.kid().into(),
        Vec::new(),
    ]
}

#[test]
fn rejects_hmac_with_our_public_key_as_the_secret() {
    let stage = Stage::new();
    for secret in secrets(&stage.issuer) {
        for (alg, reason) in [("HS256", "wrong_algorithm"), ("EdDSA", "bad_signature")] {
            let token = stage.with_header("alg", alg);
            let (input, _) = token.rsplit_once('.').unwrap();
            let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
            let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&key, input.as_bytes()));
            stage.rejects(&format!("{input}.{tag}"), reason);
        }
    }
}

#[test]
fn rejects_bad_signature() {
    for issuer in [TestIssuer::new(ISSUER), TestIssuer::es256(ISSUER)] {
        let stage = Stage::of(issuer);
        let token = stage.token();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let (r, s) = signature.split_at(32);
        let forgeries: [Vec<u8>; 10] = [
            vec![],
            vec![0; 64],
            vec![0xff; 64],
            signature[..63].to_vec(),
            [&signature[..], &[0]].concat(),
            [&[0], &signature[..]].concat(),
            [s, r].concat(),
            [r, &[0; 32]].concat(),
            [&[0; 32], s].concat(),
            [&signature[..], &signature[..]].concat(),
        ];
        for forgery in forgeries {
            let forgery = URL_SAFE_NO_PAD.encode(forgery);
            stage.rejects(&format!("{input}.{forgery}"), "bad_signature");
        }
        stage.accepts(&token);
    }
}

#[test]
fn rejects_a_signature_over_other_claims() {
    let stage = Stage::new();
    let (one, two) = (stage.token(), stage.token());
    let (input, _) = one.rsplit_once('.').unwrap();
    let (_, signature) = two.rsplit_once('.').unwrap();
    stage.rejects(&format!("{input}.{signature}"), "bad_signature");
}

// TJ-14: as OpenSSL and friends write ECDSA signatures.
#[test]
fn rejects_der_signatures_for_es256() {
    let stage = Stage::of(TestIssuer::es256(ISSUER));
    let token = stage.token();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let integer = |bytes: &[u8]| {
        let significant = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
        let zero: &[u8] = if significant[0] & 0x80 == 0 {
            &[]
        } else {
            &[0]
        };
        let length = u8::try_from(zero.len() + significant.len()).unwrap();
        [&[0x02, length], zero, significant].concat()
    };
    let (r, s) = (integer(&signature[..32]), integer(&signature[32..]));
    let length = u8::try_from(r.len() + s.len()).unwrap();
    let der = URL_SAFE_NO_PAD.encode([&[0x30, length], &r[..], &s[..]].concat());
    stage.rejects(&format!("{input}.{der}"), "bad_signature");
}

/// ES256 signatures have a second spelling, (r, n − s), and by the standard it is
/// valid. This is why nothing may be refused by a token's text (TJ-15).
#[test]
fn the_other_spelling_of_an_es256_signature_is_the_same_token() {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let stage = Stage::of(TestIssuer::es256(ISSUER));
    let token = stage.token();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(N[at]) - i16::from(signature[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let twin = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
    assert_ne!(twin, token);
    assert_eq!(
        stage.accepts(&twin).token_id(),
        stage.accepts(&token).token_id()
    );
}
