//! TJ-14: Project Wycheproof's sets for our two algorithms.
//!
//! Each key goes through the JWKS reader. Each signature goes through the verifier's
//! signature step over the vector's own message, and, wrapped as a compact JWS over a
//! good header and good claims, through the whole verifier: there it belongs to
//! another message and must be refused, whatever its shape.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use token_verifier::KeySet;
use token_verifier::testing::{TestIssuer, verify_signature};
use wycheproof::{TestResult, ecdsa, eddsa};

use crate::stage::{ISSUER, Stage};

struct Vector<'v> {
    id: usize,
    message: &'v [u8],
    signature: &'v [u8],
    result: TestResult,
}

fn check(alg: &str, jwk: Value, vectors: &[Vector<'_>]) {
    let keys = json!({ "keys": [jwk] }).to_string();
    let keys = KeySet::from_json(keys.as_bytes()).expect("the vectors' keys are good ones");
    let stage = Stage::with_keys(TestIssuer::new(ISSUER), keys.clone());
    let mut header = stage.header();
    header["alg"] = alg.into();
    header["kid"] = "k".into();
    let token = stage.issuer.token_with(header, stage.claims());
    let (input, _) = token.rsplit_once('.').unwrap();
    for vector in vectors {
        let held = verify_signature(&keys, "k", alg, vector.message, vector.signature);
        let valid = matches!(vector.result, TestResult::Valid);
        assert_eq!(held.is_ok(), valid, "{alg} {}: {held:?}", vector.id);
        let signature = URL_SAFE_NO_PAD.encode(vector.signature);
        stage.rejects(&format!("{input}.{signature}"), "bad_signature");
    }
}

#[test]
fn ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut tried = 0;
    for group in &set.test_groups {
        let x = URL_SAFE_NO_PAD.encode(&group.key.pk[..]);
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x });
        let vectors: Vec<_> = group
            .tests
            .iter()
            .map(|test| Vector {
                id: test.tc_id,
                message: &test.msg,
                signature: &test.sig,
                result: test.result,
            })
            .collect();
        check("EdDSA", jwk, &vectors);
        tried += vectors.len();
    }
    assert!(tried >= 80, "{tried}");
}

#[test]
fn ecdsa_p256() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut tried = 0;
    for group in &set.test_groups {
        // 0x04, x, y.
        let (x, y) = group.key.key[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y });
        let vectors: Vec<_> = group
            .tests
            .iter()
            .map(|test| Vector {
                id: test.tc_id,
                message: &test.msg,
                signature: &test.sig,
                result: test.result,
            })
            .collect();
        check("ES256", jwk, &vectors);
        tried += vectors.len();
    }
    assert!(tried >= 200, "{tried}");
}
