//! The two signature algorithms we accept.
//!
//! Which one counts is a property of the key. A token's `alg` is compared with it and
//! never chooses (RFC 8725 §3.1).

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, VerificationAlgorithm};

/// A signature algorithm of RFC 7518 or RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037), what the issuer signs with by default.
    EdDsa,
    /// ECDSA on P-256 with SHA-256, for verifiers that lack Ed25519.
    Es256,
}

impl Algorithm {
    /// The algorithm's name in `alg`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// Names are case-sensitive (RFC 7515 §4.1.1): `eddsa` and `nOnE` are nobody.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::EdDsa, Self::Es256]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    pub(crate) fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::EdDsa => &ED25519,
            // Fixed: r and s at full width, as RFC 7518 §3.4 wants. DER is refused.
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
        }
    }
}
