//! Public keys as others see them: one JWK, and the document of all of them.
//!
//! Nothing here can hold a private member. How the document is served is
//! [`crate::http`]'s business.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Bytes of an Ed25519 public key.
pub const PUBLIC_KEY_LENGTH: usize = 32;

/// An Ed25519 public key with its thumbprint. It has no field for anything private.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicJwk {
    kid: String,
    x: [u8; PUBLIC_KEY_LENGTH],
}

/// Why some bytes or some JSON are not a public key that we would use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PublicJwkError {
    /// Not a JSON object of the members that a public Ed25519 JWK has.
    #[error("not a public Ed25519 JWK: a JSON object of kty, crv, x and perhaps kid, use, alg")]
    Format,
    /// Another type, curve, use or algorithm.
    #[error("not an Ed25519 signing key: kty OKP, crv Ed25519, use sig, alg EdDSA")]
    Kind,
    /// `x` is not 32 bytes of base64url.
    #[error("x is not 32 bytes of base64url")]
    Length,
    /// A point of small order: anybody can make signatures that pass under it.
    #[error("x is a point of small order, under which anybody can sign")]
    Weak,
    /// `kid` is given and is something else.
    #[error("kid is not the key's RFC 7638 thumbprint")]
    KeyId,
}

impl PublicJwk {
    /// Takes the raw public key.
    pub fn from_bytes(x: &[u8]) -> Result<Self, PublicJwkError> {
        let x: [u8; PUBLIC_KEY_LENGTH] = x.try_into().map_err(|_| PublicJwkError::Length)?;
        if is_of_small_order(&x) {
            return Err(PublicJwkError::Weak);
        }
        Ok(Self {
            kid: thumbprint(&x),
            x,
        })
    }

    /// Reads a JWK. A private one is refused, so that nobody spreads it by mistake.
    pub fn from_json(json: &str) -> Result<Self, PublicJwkError> {
        // serde would also take the members as an array.
        if !json.trim_start().starts_with('{') {
            return Err(PublicJwkError::Format);
        }
        let jwk: Given = serde_json::from_str(json).map_err(|_| PublicJwkError::Format)?;
        let is = |member: &Option<String>, value| member.as_deref().is_none_or(|it| it == value);
        if jwk.kty != "OKP"
            || jwk.crv != "Ed25519"
            || !is(&jwk.usage, "sig")
            || !is(&jwk.alg, "EdDSA")
        {
            return Err(PublicJwkError::Kind);
        }
        let x = URL_SAFE_NO_PAD
            .decode(&jwk.x)
            .map_err(|_| PublicJwkError::Length)?;
        let key = Self::from_bytes(&x)?;
        if !is(&jwk.kid, &key.kid) {
            return Err(PublicJwkError::KeyId);
        }
        Ok(key)
    }

    /// The RFC 7638 thumbprint, which is the `kid` everywhere.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The raw public key.
    pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LENGTH] {
        &self.x
    }
}

/// The document at `/.well-known/jwks.json`, ready to be sent.
#[derive(Clone, Debug)]
pub struct JwksDocument {
    body: Bytes,
    etag: String,
}

impl JwksDocument {
    /// Of these keys, in this order.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a PublicJwk>) -> Self {
        let keys: Vec<Published<'_>> = keys.into_iter().map(Published::from).collect();
        let body = serde_json::to_vec(&Document { keys }).expect("strings serialise");
        // A strong validator: the same bytes and only they have the same tag.
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(&body)));
        Self {
            body: body.into(),
            etag,
        }
    }

    /// The bytes.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The entity tag, with its quotes.
    pub fn etag(&self) -> &str {
        &self.etag
    }
}

#[derive(Serialize)]
struct Document<'a> {
    keys: Vec<Published<'a>>,
}

#[derive(Serialize)]
struct Published<'a> {
    kty: &'static str,
    crv: &'static str,
    x: String,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: &'a str,
}

impl<'a> From<&'a PublicJwk> for Published<'a> {
    fn from(key: &'a PublicJwk) -> Self {
        let x = URL_SAFE_NO_PAD.encode(key.x);
        Self {
            kty: "OKP",
            crv: "Ed25519",
            x,
            usage: "sig",
            alg: "EdDSA",
            kid: &key.kid,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    kty: String,
    crv: String,
    x: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
}

/// RFC 7638 (3) with the members of RFC 8037 (2): crv, kty, x in this order.
fn thumbprint(x: &[u8; PUBLIC_KEY_LENGTH]) -> String {
    let x = URL_SAFE_NO_PAD.encode(x);
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes()))
}

/// Encodings of the points whose order divides 8, without their sign bit; the
/// last two are those of 0 and 1 that are not reduced.
const SMALL_ORDER: [[u8; PUBLIC_KEY_LENGTH]; 7] = [
    [0; PUBLIC_KEY_LENGTH],
    low(1),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    near_modulus(0xec),
    near_modulus(0xed),
    near_modulus(0xee),
];

const fn low(first: u8) -> [u8; PUBLIC_KEY_LENGTH] {
    let mut point = [0; PUBLIC_KEY_LENGTH];
    point[0] = first;
    point
}

const fn near_modulus(first: u8) -> [u8; PUBLIC_KEY_LENGTH] {
    let mut point = [0xff; PUBLIC_KEY_LENGTH];
    point[0] = first;
    point[PUBLIC_KEY_LENGTH - 1] = 0x7f;
    point
}

fn is_of_small_order(x: &[u8; PUBLIC_KEY_LENGTH]) -> bool {
    let mut without_sign = *x;
    without_sign[PUBLIC_KEY_LENGTH - 1] &= 0x7f;
    SMALL_ORDER.contains(&without_sign)
}

#[cfg(test)]
mod tests;
