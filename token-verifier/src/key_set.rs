//! The issuer's public keys, as one validated JWKS document (RFC 7517).
//!
//! A document is taken whole or not at all. Private members, symmetric keys, two keys
//! of one name or a key that contradicts itself mean that whoever wrote it does not
//! know what they publish, and none of it is used.
//!
//! What is merely of no use to us is passed over: keys for encryption, kinds of key we
//! have no algorithm for (RSA, P-384, X25519, …), and keys without a `kid`, which no
//! token could name.

mod ed25519_point;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::signature::ParsedPublicKey;

use crate::VerifyError;
use crate::algorithm::Algorithm;
use crate::json::{self, Json, JsonError, Members};
use crate::unverified::{self, MAX_KID_BYTES, MalformedToken};

/// A document of 32 keys takes about 8 KiB; the rest is room for members we ignore.
pub(crate) const MAX_JWKS_BYTES: usize = 64 * 1024;

/// An issuer needs three: upcoming, active, retiring.
const MAX_KEYS: usize = 32;

/// Members of private and symmetric keys (RFC 7518 §6.2.2, §6.3.2, §6.4, RFC 8037 §2).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The public keys of an issuer, by `kid`. Cheap to clone.
///
/// ```
/// use token_verifier::KeySet;
///
/// let keys = KeySet::from_json(br#"{"keys":[{
///     "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "2026-03",
///     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
/// }]}"#)?;
/// assert_eq!(keys.kids().collect::<Vec<_>>(), ["2026-03"]);
/// # Ok::<(), token_verifier::JwksError>(())
/// ```
#[derive(Clone)]
pub struct KeySet {
    keys: Arc<BTreeMap<String, Arc<VerifyingKey>>>,
}

/// Why a JWKS document is refused.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// Longer than 64 KiB.
    #[error("the document is larger than {MAX_JWKS_BYTES} bytes")]
    TooLarge,
    /// Not a JSON object with unique member names.
    #[error("the document is not a strict JSON object")]
    Json(#[from] JsonError),
    /// `keys` is absent, or not an array of objects.
    #[error("keys is not an array of objects")]
    NoKeys,
    /// More than 32 keys.
    #[error("the document has more than {MAX_KEYS} keys")]
    TooManyKeys,
    /// A member of a private or symmetric key: the issuer is leaking secrets.
    #[error("a key has the private member {0}")]
    PrivateMember(&'static str),
    /// A symmetric key (`kty` `oct`).
    #[error("a key is symmetric")]
    Symmetric,
    /// A member has the wrong JSON type or an impossible length.
    #[error("a key's member {0} is not what it should be")]
    Member(&'static str),
    /// Two keys of the same name.
    #[error("two keys have the kid {0:?}")]
    DuplicateKid(String),
    /// `alg` is not the algorithm of the key's `kty` and `crv`.
    #[error("the key {kid:?} is not for the algorithm it names")]
    WrongAlgorithm {
        /// The key's name.
        kid: String,
    },
    /// A coordinate is not base64url.
    #[error("the key {kid:?} has a malformed coordinate")]
    Coordinate {
        /// The key's name.
        kid: String,
        /// What the decoder says.
        source: MalformedToken,
    },
    /// The point is not on the curve, not canonical, or of small order: a key under
    /// which strangers can sign.
    #[error("the key {kid:?} is not a usable point of its curve")]
    WeakPoint {
        /// The key's name.
        kid: String,
    },
    /// No key that we could verify with. A set like that is never a rotation.
    #[error("no key for EdDSA or ES256 with a kid")]
    NoUsableKey,
}

/// One public key, for one algorithm.
pub(crate) struct VerifyingKey {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    material: Vec<u8>,
    parsed: ParsedPublicKey,
}

impl KeySet {
    /// Reads and validates a JWKS document.
    ///
    /// # Errors
    ///
    /// [`JwksError`] says what is wrong with the first thing that is.
    pub fn from_json(document: &[u8]) -> Result<Self, JwksError> {
        if document.len() > MAX_JWKS_BYTES {
            return Err(JwksError::TooLarge);
        }
        let Some(Json::Array(entries)) = json::object(document)?.remove("keys") else {
            return Err(JwksError::NoKeys);
        };
        if entries.len() > MAX_KEYS {
            return Err(JwksError::TooManyKeys);
        }
        let mut names = BTreeSet::new();
        let mut keys = BTreeMap::new();
        for entry in entries {
            let Json::Object(members) = entry else {
                return Err(JwksError::NoKeys);
            };
            if let Some(key) = Jwk(members).read(&mut names)? {
                keys.insert(key.kid.clone(), Arc::new(key));
            }
        }
        if keys.is_empty() {
            return Err(JwksError::NoUsableKey);
        }
        let keys = Arc::new(keys);
        Ok(Self { keys })
    }

    /// The names of the keys that can be used.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// Whether both have the same keys under the same names.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.keys.len() == other.keys.len()
            && self
                .keys
                .values()
                .all(|key| other.get(&key.kid).is_some_and(|same| same.is_same(key)))
    }

    /// The set without keys of these names; `None` if nothing remains.
    pub(crate) fn without(&self, is_unwanted: impl Fn(&str) -> bool) -> Option<Self> {
        if !self.kids().any(&is_unwanted) {
            return Some(self.clone());
        }
        let wanted = self.keys.iter().filter(|(kid, _)| !is_unwanted(kid));
        let keys: BTreeMap<_, _> = wanted
            .map(|(kid, key)| (kid.clone(), Arc::clone(key)))
            .collect();
        let keys = (!keys.is_empty()).then(|| Arc::new(keys))?;
        Some(Self { keys })
    }

    /// The set and the keys of `other` whose names it lacks; `None` if there are none, or
    /// more than a set may have.
    pub(crate) fn extended_by(&self, other: &Self) -> Option<Self> {
        let mut keys = BTreeMap::clone(&self.keys);
        for (kid, key) in &*other.keys {
            keys.entry(kid.clone()).or_insert_with(|| Arc::clone(key));
        }
        let is_sound = keys.len() > self.keys.len() && keys.len() <= MAX_KEYS;
        let keys = is_sound.then(|| Arc::new(keys))?;
        Some(Self { keys })
    }

    pub(crate) fn get(&self, kid: &str) -> Option<&Arc<VerifyingKey>> {
        self.keys.get(kid)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kids()).finish()
    }
}

impl VerifyingKey {
    fn new(kid: String, algorithm: Algorithm, material: Vec<u8>) -> Result<Self, JwksError> {
        let weak = algorithm == Algorithm::EdDsa && ed25519_point::is_weak(&material);
        match ParsedPublicKey::new(algorithm.verification(), &material) {
            Ok(parsed) if !weak => Ok(Self {
                kid,
                algorithm,
                material,
                parsed,
            }),
            Ok(_) | Err(KeyRejected { .. }) => Err(JwksError::WeakPoint { kid }),
        }
    }

    /// The signature step. `algorithm` is what the token's header says; it must be
    /// this key's and cannot be anything else.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        if algorithm != self.algorithm {
            return Err(VerifyError::WrongAlgorithm);
        }
        self.parsed
            .verify_sig(message, signature)
            .map_err(|_| VerifyError::BadSignature)
    }

    /// Whether it is the same key under the same name, perhaps from a later document.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.kid == other.kid
            && self.algorithm == other.algorithm
            && self.material == other.material
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// One entry of `keys`.
struct Jwk(Members);

impl Jwk {
    /// The key, or `None` if it is sound but of no use to us.
    fn read(mut self, names: &mut BTreeSet<String>) -> Result<Option<VerifyingKey>, JwksError> {
        if let Some(name) = PRIVATE.iter().find(|name| self.0.contains_key(**name)) {
            return Err(JwksError::PrivateMember(name));
        }
        let kty = self.string("kty")?.ok_or(JwksError::Member("kty"))?;
        if kty == "oct" {
            return Err(JwksError::Symmetric);
        }
        let kid = self.kid()?;
        if let Some(kid) = &kid
            && !names.insert(kid.clone())
        {
            return Err(JwksError::DuplicateKid(kid.clone()));
        }
        let is_for_verifying = self.is_for_verifying()?;
        let algorithm = match (kty.as_str(), self.string("crv")?.as_deref()) {
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            ("EC", Some("P-256")) => Algorithm::Es256,
            _ => return Ok(None),
        };
        let (true, Some(kid)) = (is_for_verifying, kid) else {
            return Ok(None);
        };
        if self
            .string("alg")?
            .is_some_and(|alg| alg != algorithm.name())
        {
            return Err(JwksError::WrongAlgorithm { kid });
        }
        let material = self.material(algorithm, &kid)?;
        VerifyingKey::new(kid, algorithm, material).map(Some)
    }

    fn string(&mut self, name: &'static str) -> Result<Option<String>, JwksError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Json::String(value)) => Ok(Some(value)),
            Some(_) => Err(JwksError::Member(name)),
        }
    }

    fn kid(&mut self) -> Result<Option<String>, JwksError> {
        let kid = self.string("kid")?;
        let fits = |kid: &String| (1..=MAX_KID_BYTES).contains(&kid.len());
        if kid.as_ref().is_some_and(|kid| !fits(kid)) {
            return Err(JwksError::Member("kid"));
        }
        Ok(kid)
    }

    /// `use` and `key_ops` (RFC 7517 §4.2, §4.3), where absent means anything. A key
    /// for encryption never verifies, whatever a token says.
    fn is_for_verifying(&mut self) -> Result<bool, JwksError> {
        let is_for_signatures = self.string("use")?.is_none_or(|purpose| purpose == "sig");
        let may_verify = match self.0.remove("key_ops") {
            None => true,
            Some(Json::Array(operations)) => {
                operations.contains(&Json::String("verify".to_owned()))
            }
            Some(_) => return Err(JwksError::Member("key_ops")),
        };
        Ok(is_for_signatures && may_verify)
    }

    /// The key as the cryptographic library wants it: 32 bytes for Ed25519, an
    /// uncompressed point (SEC 1 §2.3.3) for P-256.
    fn material(&mut self, algorithm: Algorithm, kid: &str) -> Result<Vec<u8>, JwksError> {
        let x = self.coordinate("x", kid)?;
        match algorithm {
            Algorithm::EdDsa => Ok(x),
            Algorithm::Es256 => {
                let y = self.coordinate("y", kid)?;
                Ok([&[0x04][..], &x, &y].concat())
            }
        }
    }

    /// Both curves have coordinates of 32 bytes, and RFC 7518 §6.2.1.2 keeps leading
    /// zeros.
    fn coordinate(&mut self, name: &'static str, kid: &str) -> Result<Vec<u8>, JwksError> {
        let text = self.string(name)?.ok_or(JwksError::Member(name))?;
        let bytes = unverified::decode(&text).map_err(|source| JwksError::Coordinate {
            kid: kid.to_owned(),
            source,
        })?;
        if bytes.len() != 32 {
            return Err(JwksError::Member(name));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
