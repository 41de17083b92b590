//! Signing keys: what they are, which of them signs and which are published.
//!
//! A key is `upcoming` (published, not signing), `active` (signing) or `retiring`
//! (published until every token it signed has expired). Where the rows are kept
//! is the store's business, and how private keys rest is [`crate::key_encryption`]'s.
//! The pure part holds no clock: a rotation schedule only has to write rows and
//! call [`SharedSigningKeys::replace`].

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error;

use crate::jwks::{JwksDocument, PublicJwk, PublicJwkError};
use crate::key_encryption::{DecryptError, EncryptError, KeyEncryptionKey};
use crate::store::{SigningKeyRecord, SigningKeyState};

mod start;

pub use start::{StartError, load_or_create};

/// The one algorithm that keys are made for (RFC 8037).
const ALGORITHM: &str = "EdDSA";

/// Why stored keys cannot be used.
#[derive(Debug, Error)]
pub enum SigningKeyError {
    /// The operating system gives no randomness.
    #[error("a signing key could not be made")]
    Generation,
    /// The private key could not be encrypted.
    #[error(transparent)]
    Encryption(#[from] EncryptError),
    /// The active key's private half could not be decrypted.
    #[error("signing key {kid}: cannot be decrypted")]
    Decryption {
        /// Which.
        kid: String,
        /// Why.
        #[source]
        source: DecryptError,
    },
    /// What was decrypted is no Ed25519 key.
    #[error("signing key {kid}: the decrypted private key is not Ed25519 in PKCS#8")]
    PrivateKey {
        /// Which.
        kid: String,
    },
    /// A key of a kind that this version cannot use.
    #[error("signing key {kid}: algorithm {algorithm:?} is not {ALGORITHM}")]
    Algorithm {
        /// Which.
        kid: String,
        /// What its row says.
        algorithm: String,
    },
    /// The stored public key is unusable.
    #[error("signing key {kid}: the stored public key is unusable")]
    PublicKey {
        /// Which.
        kid: String,
        /// Why.
        #[source]
        source: PublicJwkError,
    },
    /// The row's parts do not belong together.
    #[error("signing key {kid}: its {part} belongs to another key")]
    Mismatch {
        /// Which.
        kid: String,
        /// What does not fit.
        part: &'static str,
    },
    /// Two rows are one key.
    #[error("signing key {kid}: stored twice")]
    Duplicate {
        /// Which.
        kid: String,
    },
    /// There is not exactly one active key.
    #[error("{found} active signing keys are stored where one must be")]
    NotOneActive {
        /// How many there are.
        found: usize,
    },
}

/// A private key that signs, parsed once. Nothing prints it.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicJwk,
    /// The header of every access token it signs, already encoded: it never varies.
    encoded_header: String,
}

impl SigningKey {
    /// Makes a key and its row, in `state`.
    pub fn generate(
        key_encryption_key: &KeyEncryptionKey,
        state: SigningKeyState,
        now: Timestamp,
    ) -> Result<(Self, SigningKeyRecord), SigningKeyError> {
        // PKCS#8 version 1: other libraries refuse the newer form with its public key.
        // aws-lc draws from its own generator whatever it is given.
        let private_key = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())
            .map_err(|_| SigningKeyError::Generation)?;
        let key = Self::from_pkcs8(private_key.as_ref()).ok_or(SigningKeyError::Generation)?;
        let record = SigningKeyRecord {
            kid: key.kid().to_owned(),
            algorithm: ALGORITHM.to_owned(),
            state,
            public_key: key.public.as_bytes().to_vec(),
            encrypted_private_key: key_encryption_key.encrypt(private_key.as_ref())?,
            created_at: now,
            activated_at: (state == SigningKeyState::Active).then_some(now),
            retiring_at: None,
        };
        Ok((key, record))
    }

    /// The `kid`.
    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    /// The public half.
    pub fn public(&self) -> &PublicJwk {
        &self.public
    }

    /// A signed access token (compact JWS) with these claims.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, serde_json::Error> {
        let claims = serde_json::to_vec(claims)?;
        // Header, claims and 86 characters of signature, each after the first behind a dot.
        let length = self.encoded_header.len() + claims.len().div_ceil(3) * 4 + 88;
        let mut token = String::with_capacity(length);
        token.push_str(&self.encoded_header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.pair.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    fn from_pkcs8(private_key: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(private_key).ok()?;
        let public = PublicJwk::from_bytes(pair.public_key().as_ref()).ok()?;
        let header = serde_json::json!({ "typ": "at+jwt", "alg": ALGORITHM, "kid": public.kid() });
        Some(Self {
            pair,
            encoded_header: URL_SAFE_NO_PAD.encode(header.to_string()),
            public,
        })
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid())
            .finish_non_exhaustive()
    }
}

/// The keys of one moment: the one that signs, and the document that publishes all.
#[derive(Debug)]
pub struct SigningKeys {
    active: SigningKey,
    jwks: JwksDocument,
}

impl SigningKeys {
    /// Takes all stored keys and decrypts the active one.
    pub fn from_records(
        records: &[SigningKeyRecord],
        key_encryption_key: &KeyEncryptionKey,
    ) -> Result<Self, SigningKeyError> {
        let published = published(records)?;
        let mut active = records
            .iter()
            .filter(|record| record.state == SigningKeyState::Active);
        let (Some(record), None) = (active.next(), active.next()) else {
            let found = records
                .iter()
                .filter(|it| it.state == SigningKeyState::Active)
                .count();
            return Err(SigningKeyError::NotOneActive { found });
        };
        let active = open(record, key_encryption_key)?;
        Ok(Self {
            active,
            jwks: JwksDocument::new(&published),
        })
    }

    /// The key that signs.
    pub fn active(&self) -> &SigningKey {
        &self.active
    }

    /// What verifiers see.
    pub fn jwks(&self) -> &JwksDocument {
        &self.jwks
    }
}

/// The current [`SigningKeys`], read without waiting and replaced at once.
#[derive(Clone, Debug)]
pub struct SharedSigningKeys(Arc<ArcSwap<SigningKeys>>);

impl SharedSigningKeys {
    /// Starts with these.
    pub fn new(keys: SigningKeys) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(keys)))
    }

    /// The keys of this moment.
    pub fn current(&self) -> Arc<SigningKeys> {
        self.0.load_full()
    }

    /// Puts other keys in their place. Who read before goes on with what they read.
    pub fn replace(&self, keys: SigningKeys) {
        self.0.store(Arc::new(keys));
    }
}

/// The public halves in the order of their `kid`, so that replicas publish the
/// same bytes whatever order their rows come in.
fn published(records: &[SigningKeyRecord]) -> Result<Vec<PublicJwk>, SigningKeyError> {
    let mut keys = records
        .iter()
        .map(public_of)
        .collect::<Result<Vec<_>, _>>()?;
    keys.sort_by(|a, b| a.kid().cmp(b.kid()));
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(SigningKeyError::Duplicate {
            kid: pair[0].kid().to_owned(),
        }),
        None => Ok(keys),
    }
}

fn public_of(record: &SigningKeyRecord) -> Result<PublicJwk, SigningKeyError> {
    let kid = || record.kid.clone();
    if record.algorithm != ALGORITHM {
        return Err(SigningKeyError::Algorithm {
            kid: kid(),
            algorithm: record.algorithm.clone(),
        });
    }
    let key = PublicJwk::from_bytes(&record.public_key)
        .map_err(|source| SigningKeyError::PublicKey { kid: kid(), source })?;
    if key.kid() != record.kid {
        return Err(SigningKeyError::Mismatch {
            kid: kid(),
            part: "public key",
        });
    }
    Ok(key)
}

fn open(
    record: &SigningKeyRecord,
    key_encryption_key: &KeyEncryptionKey,
) -> Result<SigningKey, SigningKeyError> {
    let kid = || record.kid.clone();
    let private_key = key_encryption_key
        .decrypt(&record.encrypted_private_key)
        .map_err(|source| SigningKeyError::Decryption { kid: kid(), source })?;
    let key = SigningKey::from_pkcs8(&private_key)
        .ok_or_else(|| SigningKeyError::PrivateKey { kid: kid() })?;
    // Signing under a kid whose published key is another would refuse everybody.
    if key.kid() != record.kid {
        return Err(SigningKeyError::Mismatch {
            kid: kid(),
            part: "private key",
        });
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
