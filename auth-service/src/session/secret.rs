//! The cookie's value, and the only form in which a store sees it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::entropy::Entropy;

const SECRET_BYTES: usize = 32;
/// Length of a secret's text: 256 bits in base64url without padding.
pub const SECRET_CHARS: usize = 43;

/// 256 random bits that open a session. Prints as nothing, and is wiped when dropped.
#[derive(Clone)]
pub struct SessionSecret([u8; SECRET_BYTES]);

impl SessionSecret {
    /// One that nobody had before.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; SECRET_BYTES];
        entropy.fill(&mut bytes);
        let secret = Self(bytes);
        bytes.zeroize();
        secret
    }

    /// Reads exactly [`SECRET_CHARS`] characters of base64url whose unused bits are
    /// zero. Anything else is nobody's secret, which is known before a store is asked.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != SECRET_CHARS {
            return None;
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        Some(Self(bytes.as_slice().try_into().ok()?))
    }

    /// The cookie's value.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0))
    }

    /// What the store keeps. A plain hash is enough: there are 2^256 secrets to try.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0).into())
    }
}

impl Drop for SessionSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(..)")
    }
}

/// SHA-256 of a [`SessionSecret`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The bytes, for a store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}
