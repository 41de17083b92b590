//! An issuer for tests, which signs whatever it is told to. Feature `testing`.
//!
//! Tests of other crates use it to be known callers; the tests of this one use it to
//! forge. And a revocation feed that says what it is told to.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::VerifyError;
use crate::algorithm::Algorithm;
use crate::key_set::KeySet;

mod feed;

pub use feed::TestFeed;

/// An issuer with one key of its own.
#[derive(Debug)]
pub struct TestIssuer {
    issuer: String,
    key: SigningKey,
    kid: String,
}

#[derive(Debug)]
enum SigningKey {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl TestIssuer {
    /// An issuer with a new Ed25519 key.
    ///
    /// # Panics
    ///
    /// If the system has no randomness to give.
    #[must_use]
    pub fn new(issuer: &str) -> Self {
        let key = Ed25519KeyPair::generate().expect("the system has randomness");
        Self::with_key(issuer, SigningKey::Ed25519(key))
    }

    /// An issuer with a new P-256 key, which signs ES256.
    ///
    /// # Panics
    ///
    /// If the system has no randomness to give.
    #[must_use]
    pub fn es256(issuer: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .expect("the system has randomness");
        Self::with_key(issuer, SigningKey::P256(key))
    }

    fn with_key(issuer: &str, key: SigningKey) -> Self {
        let kid = thumbprint(&key.public_jwk());
        Self {
            issuer: issuer.to_owned(),
            key,
            kid,
        }
    }

    /// What the verifier under test should know of this issuer.
    ///
    /// # Panics
    ///
    /// Never: the issuer's own key is a good one.
    #[must_use]
    pub fn key_set(&self) -> KeySet {
        KeySet::from_json(self.jwks_json().as_bytes()).expect("its own key is a good one")
    }

    /// The JWKS document with this issuer's public key.
    #[must_use]
    pub fn jwks_json(&self) -> String {
        json!({ "keys": [self.jwk()] }).to_string()
    }

    /// The entry of the JWKS document.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let mut jwk = self.key.public_jwk();
        jwk["kid"] = self.kid.as_str().into();
        jwk["use"] = "sig".into();
        jwk["alg"] = self.algorithm().name().into();
        jwk
    }

    /// The key's name, its RFC 7638 thumbprint.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.key {
            SigningKey::Ed25519(_) => Algorithm::EdDsa,
            SigningKey::P256(_) => Algorithm::Es256,
        }
    }

    /// A good token for `subject` at `audience`, issued at `now`, good for 60 s.
    #[must_use]
    pub fn token(&self, audience: &str, subject: &str, now: Timestamp) -> String {
        let claims = self.default_claims(audience, subject, now);
        self.token_with(self.default_header(), claims)
    }

    /// The header of a good token.
    #[must_use]
    pub fn default_header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": self.algorithm().name(), "kid": self.kid })
    }

    /// The claims of a good token, to be spoiled by the test.
    #[must_use]
    pub fn default_claims(&self, audience: &str, subject: &str, now: Timestamp) -> Value {
        let mut claims = json!({
            "iss": self.issuer,
            "aud": audience,
            "sub": subject,
            "client_id": "gateway",
            "iat": now.as_second(),
            "exp": now.as_second() + 60,
            "jti": random_name(),
            "scope": "",
            "acr": "0",
        });
        if subject != "anonymous" {
            claims["sid"] = random_name().into();
            claims["auth_time"] = now.as_second().into();
            claims["amr"] = json!(["pwd"]);
            claims["acr"] = "1".into();
        }
        claims
    }

    /// Signs whatever it is given.
    #[must_use]
    pub fn token_with(&self, header: Value, claims: Value) -> String {
        self.sign(header.to_string(), claims.to_string())
    }

    /// Signs whatever it is given, JSON or not.
    #[must_use]
    pub fn sign(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let header = URL_SAFE_NO_PAD.encode(header);
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let input = format!("{header}.{payload}");
        let signature = URL_SAFE_NO_PAD.encode(self.signature(input.as_bytes()));
        format!("{input}.{signature}")
    }

    /// The signature alone.
    ///
    /// # Panics
    ///
    /// If the system has no randomness to give.
    #[must_use]
    pub fn signature(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            SigningKey::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            SigningKey::P256(key) => key
                .sign(&SystemRandom::new(), message)
                .expect("the system has randomness")
                .as_ref()
                .to_vec(),
        }
    }
}

impl SigningKey {
    /// The members that RFC 7638 hashes, and no others.
    fn public_jwk(&self) -> Value {
        match self {
            Self::Ed25519(key) => json!({
                "kty": "OKP",
                "crv": "Ed25519",
                "x": URL_SAFE_NO_PAD.encode(key.public_key()),
            }),
            Self::P256(key) => {
                // 0x04, then x and y.
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({
                    "kty": "EC",
                    "crv": "P-256",
                    "x": URL_SAFE_NO_PAD.encode(x),
                    "y": URL_SAFE_NO_PAD.encode(y),
                })
            }
        }
    }
}

/// RFC 7638: SHA-256 over the required members in lexicographic order.
///
/// # Panics
///
/// If a member is not a string.
#[must_use]
pub fn thumbprint(required_members: &Value) -> String {
    let members: std::collections::BTreeMap<String, String> =
        serde_json::from_value(required_members.clone()).expect("members of a JWK are strings");
    let canonical = serde_json::to_vec(&members).expect("a map of strings is JSON");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &canonical);
    URL_SAFE_NO_PAD.encode(digest)
}

/// The verifier's own signature step on arbitrary bytes, for test vectors that are not
/// access tokens: the key `kid` of `keys`, and `alg` as a header would name it.
///
/// # Errors
///
/// As in [`TokenVerifier::verify`](crate::TokenVerifier::verify).
pub fn verify_signature(
    keys: &KeySet,
    kid: &str,
    alg: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<(), VerifyError> {
    let algorithm = Algorithm::from_name(alg).ok_or(VerifyError::WrongAlgorithm)?;
    let key = keys.get(kid).ok_or(VerifyError::UnknownKid)?;
    key.verify(algorithm, message, signature)
}

fn random_name() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}
