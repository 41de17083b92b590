//! What a request says about who sends it, before anything is asked of anybody.
//!
//! Pure: headers in, [`Credential`] out. Two answers to the same question are an
//! error and never "the first" or "the last", because an attacker who can plant a
//! cookie from a sibling domain chooses the order.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, header};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// The session cookie's name, compared byte for byte: browsers enforce the prefix
/// whatever its case, so a `__HoSt-…` is somebody else's cookie.
pub(crate) const SESSION_COOKIE: &str = "__Host-Http-session";

/// 256 bits in base64url without padding.
const SECRET_LENGTH: usize = 43;

/// A session cookie's value that has the right form. Nobody has checked yet whether
/// it opens anything.
#[derive(Clone)]
pub(crate) struct SessionSecret(SecretString);

impl SessionSecret {
    /// `None` for everything that cannot be one of ours, so that no store is asked.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        if value.len() != SECRET_LENGTH {
            return None;
        }
        // The engine refuses padding, foreign letters and non-zero trailing bits, so
        // each secret has exactly one spelling.
        let mut decoded = [0_u8; 33];
        match URL_SAFE_NO_PAD.decode_slice(value, &mut decoded) {
            Ok(32) => Some(Self(value.to_owned().into())),
            _ => None,
        }
    }

    /// For the auth service and the cookie, nothing else.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What caches are keyed by.
    pub(crate) fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.expose().as_bytes()).into())
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(..)")
    }
}

/// SHA-256 of a session secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SecretHash([u8; 32]);

impl SecretHash {
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// What a request carries.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// Nothing of ours, or nothing that could be ours.
    None,
    /// A well-formed session cookie.
    Session(SessionSecret),
}

impl Credential {
    /// The session cookie's secret, if there is one.
    pub(crate) fn session(&self) -> Option<&SessionSecret> {
        match self {
            Self::None => None,
            Self::Session(secret) => Some(secret),
        }
    }
}

/// Why a request's credential is refused before it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("more than one session cookie")]
    SeveralCookies,
    #[error("more than one authorization header")]
    SeveralAuthorizations,
    #[error("a session cookie and an authorization header")]
    CookieAndAuthorization,
    #[error("an authorization header where only the session cookie is accepted")]
    BearerNotAccepted,
}

/// Reads the credential from a request's headers.
pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Credential, CredentialError> {
    let mut cookies = session_cookies(headers);
    let cookie = cookies.next();
    if cookies.next().is_some() {
        return Err(CredentialError::SeveralCookies);
    }
    let authorizations = headers.get_all(header::AUTHORIZATION).iter().count();
    match (cookie, authorizations) {
        (_, 2..) => Err(CredentialError::SeveralAuthorizations),
        // Even a malformed cookie of ours: what it was meant to be is a guess.
        (Some(_), 1) => Err(CredentialError::CookieAndAuthorization),
        (None, 1) => Err(CredentialError::BearerNotAccepted),
        (None, _) => Ok(Credential::None),
        (Some(value), _) => Ok(well_formed(value).map_or(Credential::None, Credential::Session)),
    }
}

fn well_formed(value: &[u8]) -> Option<SessionSecret> {
    SessionSecret::parse(std::str::from_utf8(value).ok()?)
}

/// Every value that any Cookie header gives to our name.
fn session_cookies(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b';'))
        .filter_map(|pair| {
            let pair = pair.trim_ascii();
            let equals = pair.iter().position(|&byte| byte == b'=')?;
            (&pair[..equals] == SESSION_COOKIE.as_bytes()).then(|| &pair[equals + 1..])
        })
}

#[cfg(test)]
mod tests;
