//! Who this program is to the others: an Ed25519 key of its own, and short-lived
//! assertions signed with it (RFC 7523). Nothing inside trusts a caller for its address.

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use serde_json::json;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

mod assertion;
mod key_file;
mod pem;

pub use assertion::{AssertionLayer, AssertionSigner, AttachAssertion};
pub use key_file::KeyFileError;

/// A program's private key. Shows nothing of itself.
pub struct WorkloadKey {
    encoding_key: EncodingKey,
    /// The public half in base64url: a JWK's `x`.
    x: String,
    kid: String,
}

/// Bytes that are no Ed25519 key in PKCS#8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not one PEM block labelled `PRIVATE KEY`.
    #[error("not a PEM file with one PRIVATE KEY (PKCS#8)")]
    NotPem,
    /// A key, but not an Ed25519 one, or damaged.
    #[error("not an Ed25519 private key in PKCS#8 form")]
    NotEd25519,
    /// The system gave no randomness.
    #[error("cannot generate a key")]
    Generate,
}

impl WorkloadKey {
    /// A fresh key.
    ///
    /// # Errors
    ///
    /// When the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        Self::from_pem(&generate_pem()?)
    }

    /// Reads a key from PKCS#8 PEM text.
    ///
    /// # Errors
    ///
    /// See [`KeyError`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = pem::decode(text).ok_or(KeyError::NotPem)?;
        let pair = Ed25519KeyPair::from_pkcs8(&der).map_err(|_| KeyError::NotEd25519)?;
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let kid = thumbprint(&x);
        Ok(Self {
            encoding_key: EncodingKey::from_ed_der(&der),
            x,
            kid,
        })
    }

    /// Reads the key file at `path`, which must be for its owner only.
    ///
    /// # Errors
    ///
    /// See [`KeyFileError`].
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        key_file::load(path)
    }

    /// [`load`](Self::load), after making the file if there is none.
    ///
    /// # Errors
    ///
    /// See [`KeyFileError`].
    pub fn load_or_create(path: &Path) -> Result<Self, KeyFileError> {
        key_file::load_or_create(path)
    }

    /// The key's id: its RFC 7638 thumbprint.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half as a JWK, which goes into the auth service's settings.
    #[must_use]
    pub fn public_jwk(&self) -> String {
        let jwk = json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "x": self.x,
            "kid": self.kid,
            "alg": "EdDSA",
            "use": "sig",
        });
        jwk.to_string()
    }

    fn encoding_key(&self) -> &EncodingKey {
        &self.encoding_key
    }
}

impl std::fmt::Debug for WorkloadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkloadKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// Version 1 of PKCS#8: other libraries refuse the newer form with the public key in it.
fn generate_pem() -> Result<Zeroizing<String>, KeyError> {
    let document = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new());
    Ok(pem::encode(
        document.map_err(|_| KeyError::Generate)?.as_ref(),
    ))
}

/// RFC 7638 over the required members of RFC 8037 §2, in lexical order.
fn thumbprint(x: &str) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

#[cfg(test)]
mod tests;
