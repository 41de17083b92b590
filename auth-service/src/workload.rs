//! Workloads: which program is calling, and what the settings let it do.
//!
//! Each call carries an assertion that its program signed for this call alone
//! (RFC 7523). Nothing is trusted for its address. `guard` stands before every
//! RPC; here is what an assertion must be.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::jwks::PublicJwk;

mod guard;
mod permissions;
mod replay;

pub use guard::{GuardLayer, workload};
pub use permissions::{PERMISSIONS, permission_for};

use replay::{Remembered, ReplayTable};

/// The `aud` of every assertion.
pub const AUDIENCE: &str = "auth-service";
/// The `typ` of an assertion (RFC 7523bis), which no access token has.
pub const ASSERTION_TYPE: &str = "client-authentication+jwt";
/// Assertions are made for one call each: a minute covers a slow network.
pub const MAX_LIFETIME_SECONDS: i64 = 60;
/// Clocks of machines that keep time with NTP differ by less; token-verifier allows the same.
pub const LEEWAY_SECONDS: i64 = 5;
/// Of each workload: 4000 calls a second for as long as an assertion can come
/// again, in at most 30 MB.
pub const DEFAULT_REPLAY_CAPACITY: usize = 1 << 18;

/// Our own have some 450 bytes.
const MAX_ASSERTION_LENGTH: usize = 2048;
/// A UUID has 36.
const MAX_TOKEN_ID_LENGTH: usize = 64;

/// What a workload may do here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Register, log in and change passwords.
    Accounts,
    /// Make, read and end sessions.
    Sessions,
    /// Get access tokens.
    Exchange,
    /// Follow the revocation log.
    Watch,
    /// Do what operators do by hand.
    Operate,
}

/// A workload as the settings name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadSettings {
    /// Without `svc_`; what tokens call `client_id`.
    pub name: String,
    /// Its public key.
    pub public_key: PublicJwk,
    /// What it may do.
    pub may: Vec<Permission>,
}

/// A program whose assertion was verified for this call. Only this module makes one.
#[derive(Clone)]
pub struct Workload(Arc<Known>);

/// Why an assertion opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum AssertionError {
    /// There is no authorization.
    #[error("no assertion")]
    Missing,
    /// More than one authorization, another scheme, or not what a compact JWS is.
    #[error("the assertion is malformed")]
    Malformed,
    /// Longer than any that we would make.
    #[error("the assertion is too long")]
    TooLarge,
    /// `typ` is something else: an access token, perhaps.
    #[error("not a client assertion")]
    WrongType,
    /// `alg` is not EdDSA.
    #[error("the assertion's algorithm is not EdDSA")]
    WrongAlgorithm,
    /// No workload has this key.
    #[error("the assertion's key is not known")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the assertion's signature is wrong")]
    BadSignature,
    /// `iss` or `sub` is not the workload whose key it is.
    #[error("the assertion names another workload than its key does")]
    WrongIssuer,
    /// `aud` is not this service.
    #[error("the assertion is for somebody else")]
    WrongAudience,
    /// Over, by our clock.
    #[error("the assertion has expired")]
    Expired,
    /// Not begun, by our clock.
    #[error("the assertion is from the future")]
    NotYetValid,
    /// `exp` is not after `iat`, or more than a minute after.
    #[error("the assertion's lifetime is not within a minute")]
    Lifetime,
    /// Missing or mistyped claims.
    #[error("the assertion's claims are malformed")]
    Claims,
    /// Seen before.
    #[error("the assertion was used before")]
    Replayed,
    /// Too many are remembered to tell whether it was seen before.
    #[error("too many assertions within a minute")]
    TooMany,
}

impl AssertionError {
    /// A stable word for logs and metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::WrongType => "wrong_type",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::UnknownKey => "unknown_kid",
            Self::BadSignature => "bad_signature",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Lifetime => "lifetime",
            Self::Claims => "claims_invalid",
            Self::Replayed => "replayed",
            Self::TooMany => "too_many",
        }
    }
}

/// Why workloads from the settings cannot be used.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum WorkloadsError {
    /// A name that cannot be a subject's.
    #[error("workload {0:?}: a name is 1 to 63 of a-z, 0-9 and -, beginning with a letter")]
    Name(String),
    /// One key would stand for two.
    #[error("workloads {0} and {1} have the same public key")]
    SharedKey(String, String),
    /// One name would stand for two.
    #[error("workload {0} is given twice")]
    Twice(String),
}

/// All workloads of the settings, by the `kid` of their keys. Cheap to clone; clones
/// remember the same assertions.
#[derive(Clone)]
pub struct Workloads {
    by_kid: Arc<HashMap<String, Arc<Known>>>,
}

struct Known {
    name: String,
    subject: String,
    may: Vec<Permission>,
    key: ParsedPublicKey,
    replay: ReplayTable,
}

impl Workloads {
    /// Takes them from the settings.
    pub fn new(
        settings: &[WorkloadSettings],
        replay_capacity: usize,
    ) -> Result<Self, WorkloadsError> {
        let mut by_kid: HashMap<String, Arc<Known>> = HashMap::new();
        for workload in settings {
            if by_kid.values().any(|known| known.name == workload.name) {
                return Err(WorkloadsError::Twice(workload.name.clone()));
            }
            let known = Arc::new(Known::new(workload, replay_capacity)?);
            if let Some(other) = by_kid.insert(workload.public_key.kid().to_owned(), known) {
                return Err(WorkloadsError::SharedKey(
                    other.name.clone(),
                    workload.name.clone(),
                ));
            }
        }
        Ok(Self {
            by_kid: Arc::new(by_kid),
        })
    }

    /// Verifies an assertion and uses it up.
    pub fn verify(&self, assertion: &str, now: Timestamp) -> Result<Workload, AssertionError> {
        if assertion.len() > MAX_ASSERTION_LENGTH {
            return Err(AssertionError::TooLarge);
        }
        let unverified = UnverifiedAssertion::split(assertion)?;
        let known = self
            .by_kid
            .get(&unverified.kid()?)
            .ok_or(AssertionError::UnknownKey)?;
        let claims = unverified.verify(&known.key)?;
        claims.check(&known.subject, now.as_second())?;
        // Last: only an assertion that would open the door is used up.
        let last = claims.exp + LEEWAY_SECONDS;
        match known.replay.remember(&claims.jti, last, now.as_second()) {
            Remembered::First => Ok(Workload(Arc::clone(known))),
            Remembered::Again => Err(AssertionError::Replayed),
            Remembered::Full => Err(AssertionError::TooMany),
        }
    }
}

impl Known {
    fn new(settings: &WorkloadSettings, replay_capacity: usize) -> Result<Self, WorkloadsError> {
        if !is_workload_name(&settings.name) {
            return Err(WorkloadsError::Name(settings.name.clone()));
        }
        let key = ParsedPublicKey::new(&ED25519, settings.public_key.as_bytes())
            .expect("any 32 bytes parse as an Ed25519 key");
        Ok(Self {
            name: settings.name.clone(),
            subject: format!("svc_{}", settings.name),
            may: settings.may.clone(),
            key,
            replay: ReplayTable::new(replay_capacity),
        })
    }
}

impl Workload {
    /// Its name, without `svc_`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether the settings let it do that.
    pub fn may(&self, permission: Permission) -> bool {
        self.0.may.contains(&permission)
    }
}

impl std::fmt::Debug for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Workload").field(&self.0.name).finish()
    }
}

/// What [`token_verifier::Subject`] takes behind `svc_`.
pub fn is_workload_name(name: &str) -> bool {
    token_verifier::Subject::parse(&format!("svc_{name}")).is_ok()
}

/// An assertion cut into its parts, none of them to be believed.
struct UnverifiedAssertion<'a> {
    message: &'a str,
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
}

/// A header has these members and no others: nothing that names a key's
/// address, and no `crit`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnverifiedHeader {
    typ: String,
    alg: String,
    kid: String,
}

/// Claims that we do not know are ignored (RFC 7519, 4); twofold ones of these are refused.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    iat: i64,
    exp: i64,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<i64>,
    jti: String,
}

impl<'a> UnverifiedAssertion<'a> {
    fn split(assertion: &'a str) -> Result<Self, AssertionError> {
        let mut parts = assertion.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(AssertionError::Malformed);
        };
        let message = &assertion[..header.len() + 1 + claims.len()];
        Ok(Self {
            message,
            header,
            claims,
            signature,
        })
    }

    /// The name of the key that must have signed; good for finding it and nothing else.
    fn kid(&self) -> Result<String, AssertionError> {
        let header: UnverifiedHeader = object(self.header).ok_or(AssertionError::Malformed)?;
        if header.typ != ASSERTION_TYPE {
            return Err(AssertionError::WrongType);
        }
        if header.alg != "EdDSA" {
            return Err(AssertionError::WrongAlgorithm);
        }
        Ok(header.kid)
    }

    fn verify(&self, key: &ParsedPublicKey) -> Result<Claims, AssertionError> {
        let signature = URL_SAFE_NO_PAD
            .decode(self.signature)
            .map_err(|_| AssertionError::Malformed)?;
        key.verify_sig(self.message.as_bytes(), &signature)
            .map_err(|_| AssertionError::BadSignature)?;
        object(self.claims).ok_or(AssertionError::Claims)
    }
}

impl Claims {
    fn check(&self, subject: &str, now: i64) -> Result<(), AssertionError> {
        if self.iss != subject || self.sub != subject {
            return Err(AssertionError::WrongIssuer);
        }
        if self.aud != AUDIENCE {
            return Err(AssertionError::WrongAudience);
        }
        if self.jti.is_empty() || self.jti.len() > MAX_TOKEN_ID_LENGTH {
            return Err(AssertionError::Claims);
        }
        // Saturating: the sender chose the numbers.
        let lifetime = self.exp.saturating_sub(self.iat);
        if !(1..=MAX_LIFETIME_SECONDS).contains(&lifetime) {
            return Err(AssertionError::Lifetime);
        }
        let latest = now + LEEWAY_SECONDS;
        if self.iat > latest || self.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(AssertionError::NotYetValid);
        }
        if self.exp <= now - LEEWAY_SECONDS {
            return Err(AssertionError::Expired);
        }
        Ok(())
    }
}

/// A JSON object in base64url. An array, which serde would also take, is none.
fn object<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    let json = URL_SAFE_NO_PAD.decode(part).ok()?;
    json.starts_with(b"{")
        .then(|| serde_json::from_slice(&json).ok())
        .flatten()
}

/// `null` is not the same as absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
