//! Signing keys: what they are, which of them signs and which are published.
//!
//! A key is `upcoming` (published, not signing), `active` (signing) or `retiring`
//! (published until every token it signed has expired). Where the rows are kept
//! is the store's business, and how private keys rest is [`crate::key_encryption`]'s.
//! The pure part holds no clock: [`rotation`] plans by ages, and the [`Keeper`] reads
//! rows, takes the steps and calls [`SharedSigningKeys::replace`].

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error;

use crate::jwks::{JwksDocument, PublicJwk, PublicJwkError};
use crate::key_encryption::{DecryptError, EncryptError, KeyRing};
use crate::store::{SigningKeyRecord, SigningKeyState};

mod keeper;
mod metrics;
pub mod rotation;
mod shared;
mod start;

pub use keeper::{Keeper, KeeperError, KeeperParts, KeyStatus, Rotated};
pub use metrics::KeyMetrics;
pub use shared::SharedSigningKeys;
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
        key_ring: &KeyRing,
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
            encrypted_private_key: key_ring.encrypt(private_key.as_ref())?,
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
    signer: Option<Arc<SigningKey>>,
    jwks: JwksDocument,
    states: Vec<(String, SigningKeyState)>,
}

impl SigningKeys {
    /// Takes all stored keys and decrypts the active one. Others that cannot be read, a
    /// newer release's perhaps, are logged and left out.
    pub fn from_records(
        records: &[SigningKeyRecord],
        key_ring: &KeyRing,
    ) -> Result<Self, SigningKeyError> {
        let active = active_of(records)?;
        public_of(active)?;
        let signer = Arc::new(open(active, key_ring)?);
        Ok(Self::new(records, Some(signer)))
    }

    /// What these become when the stored keys are now `records`; the active key is
    /// decrypted only if it is another. Where it cannot be, the reason comes along, and
    /// the one that signed until now stays for as long as it is published: not announcing
    /// a new key would be worse than not signing with it. Such a signer is not
    /// [the active one](Self::sign_for), so that nothing confirms it.
    pub fn followed_by(
        &self,
        records: &[SigningKeyRecord],
        key_ring: &KeyRing,
    ) -> (Self, Option<SigningKeyError>) {
        let (signer, problem) = match self.next_signer(records, key_ring) {
            Ok(signer) => (Some(signer), None),
            Err(problem) => {
                let last = self.signer.clone();
                let still = last.filter(|key| records.iter().any(|it| it.kid == key.kid()));
                (still, Some(problem))
            }
        };
        (Self::new(records, signer), problem)
    }

    /// The same, and nothing signs. They are the keys of no rows.
    fn without_signer(&self) -> Self {
        Self {
            signer: None,
            jwks: self.jwks.clone(),
            states: Vec::new(),
        }
    }

    fn new(records: &[SigningKeyRecord], signer: Option<Arc<SigningKey>>) -> Self {
        Self {
            signer,
            jwks: JwksDocument::new(&published(records)),
            states: states_of(records),
        }
    }

    /// Whether the key that signs here is the one that `records` say is to sign. One that
    /// retires already may sign for a while, and must have stopped well before it is
    /// deleted.
    pub fn sign_for(&self, records: &[SigningKeyRecord]) -> bool {
        let active = active_of(records).map(|active| active.kid.as_str());
        self.signer
            .as_ref()
            .is_some_and(|key| active.is_ok_and(|kid| kid == key.kid()))
    }

    /// Whether these are the keys of `records`, in the same states.
    pub fn are(&self, records: &[SigningKeyRecord]) -> bool {
        self.states == states_of(records)
    }

    /// The key that signs. None: there is one, and this process cannot use it.
    pub fn signer(&self) -> Option<&Arc<SigningKey>> {
        self.signer.as_ref()
    }

    /// What verifiers see.
    pub fn jwks(&self) -> &JwksDocument {
        &self.jwks
    }

    fn next_signer(
        &self,
        records: &[SigningKeyRecord],
        key_ring: &KeyRing,
    ) -> Result<Arc<SigningKey>, SigningKeyError> {
        let active = active_of(records)?;
        // What is not published may not sign.
        public_of(active)?;
        match &self.signer {
            Some(signer) if signer.kid() == active.kid => Ok(Arc::clone(signer)),
            _ => open(active, key_ring).map(Arc::new),
        }
    }
}

fn states_of(records: &[SigningKeyRecord]) -> Vec<(String, SigningKeyState)> {
    let mut states: Vec<_> = records
        .iter()
        .map(|record| (record.kid.clone(), record.state))
        .collect();
    states.sort_by(|(one, _), (other, _)| one.cmp(other));
    states
}

fn active_of(records: &[SigningKeyRecord]) -> Result<&SigningKeyRecord, SigningKeyError> {
    let active: Vec<_> = records
        .iter()
        .filter(|record| record.state == SigningKeyState::Active)
        .collect();
    match active[..] {
        [active] => Ok(active),
        _ => Err(SigningKeyError::NotOneActive {
            found: active.len(),
        }),
    }
}

/// The public halves in the order of their `kid`, so that replicas publish the
/// same bytes whatever order their rows come in.
///
/// A row that cannot be read costs only itself: the others must be published, and the
/// active one must go on.
fn published(records: &[SigningKeyRecord]) -> Vec<PublicJwk> {
    let mut keys = Vec::with_capacity(records.len());
    for record in records {
        match public_of(record) {
            Ok(key) => keys.push(key),
            Err(error) => tracing::error!(
                event = "key.unusable",
                token.kid = record.kid,
                error = &error as &dyn std::error::Error,
                "a stored key is not published: {error}"
            ),
        }
    }
    keys.sort_by(|a, b| a.kid().cmp(b.kid()));
    keys
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

fn open(record: &SigningKeyRecord, key_ring: &KeyRing) -> Result<SigningKey, SigningKeyError> {
    let kid = || record.kid.clone();
    let private_key = key_ring
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
