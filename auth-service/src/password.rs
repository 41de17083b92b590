//! Passwords as they are received, and what is kept of them.
//!
//! A password is the bytes that arrived, all of them and nothing else: no
//! trimming, no Unicode normalisation, no truncation (ASVS 6.2.8 rather than the
//! normalisation that NIST suggests: two spellings of one text are two passwords,
//! and what a person's keyboard sends is the same each time). NUL is a byte like
//! any other. The gateway and gRPC let only valid UTF-8 through.

mod common;
mod hashing;
mod phc;
pub mod policy;
#[cfg(test)]
mod tests;

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

pub use hashing::{HashingError, HashingPool, HashingSettings, HashingStats};
pub use phc::{HashCost, HashCostError, PasswordHash};

/// A password as received. Prints nothing; wiped when dropped.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// Takes exactly what was received; [`policy`] judges it.
    pub fn received(text: String) -> Self {
        Self(text.into())
    }

    /// The text, for the policy and for hashing.
    fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}
