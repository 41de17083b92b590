//! Argon2id, its cost, and the PHC strings that it leaves.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use password_hash::phc::{self, Output, ParamsString, Salt};

use super::Password;
use crate::entropy::Entropy;
use crate::store::BoxedError;

/// 128 bits (NIST SP 800-63B-4 asks for 32 at least, RFC 9106 recommends 128).
const SALT_BYTES: usize = 16;

/// What one hash costs: OWASP's first recommendation at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
}

/// Why a cost is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashCostError {
    /// Guessing against a stolen database would be too cheap.
    #[error("must be at least {} KiB, {} iterations, 1 lane",
        HashCost::DEFAULT.memory_kib, HashCost::DEFAULT.iterations)]
    TooCheap,
    /// More than a request can wait for, or Argon2 can do.
    #[error("must be at most {} KiB, {} iterations, {} lanes",
        HashCost::MAX.memory_kib, HashCost::MAX.iterations, HashCost::MAX.parallelism)]
    TooDear,
}

impl HashCost {
    /// OWASP password storage: 19 MiB, two passes, one lane.
    pub const DEFAULT: Self = Self {
        memory_kib: 19_456,
        iterations: 2,
        parallelism: 1,
    };
    /// A gibibyte a login is a mistake in the settings.
    const MAX: Self = Self {
        memory_kib: 1 << 20,
        iterations: 32,
        parallelism: 16,
    };

    /// A cost that is neither too cheap nor absurd.
    pub fn new(memory_kib: u32, iterations: u32, parallelism: u32) -> Result<Self, HashCostError> {
        let cost = Self {
            memory_kib,
            iterations,
            parallelism,
        };
        let (min, max) = (Self::DEFAULT, Self::MAX);
        if !cost.is_at_least(min) {
            return Err(HashCostError::TooCheap);
        }
        if !max.is_at_least(cost) {
            return Err(HashCostError::TooDear);
        }
        Ok(cost)
    }

    /// Memory that one hash takes, in bytes.
    pub fn memory_bytes(self) -> usize {
        self.memory_kib as usize * 1024
    }

    fn is_at_least(self, other: Self) -> bool {
        self.memory_kib >= other.memory_kib
            && self.iterations >= other.iterations
            && self.parallelism >= other.parallelism
    }

    /// Some thousand times too cheap: for tests that are about something else.
    #[cfg(test)]
    pub(crate) const fn insecure_for_tests() -> Self {
        Self {
            memory_kib: 8,
            iterations: 1,
            parallelism: 1,
        }
    }

    fn params(self) -> Params {
        Params::new(self.memory_kib, self.iterations, self.parallelism, None)
            .expect("the constructor keeps to what Argon2 allows")
    }

    /// Hashes with a fresh salt. Takes a processor for tens of milliseconds.
    pub(super) fn hash(
        self,
        password: &Password,
        entropy: &dyn Entropy,
        memory: &mut Memory,
    ) -> Result<PasswordHash, BoxedError> {
        let mut salt = [0; SALT_BYTES];
        entropy.fill(&mut salt);
        let params = self.params();
        let output = memory.argon2id(password, &salt, Params::DEFAULT_OUTPUT_LEN, &params)?;
        Ok(PasswordHash(phc::PasswordHash {
            algorithm: argon2::ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(Salt::new(&salt)?),
            hash: Some(output),
        }))
    }

    /// Whether `hash` was made with less than this in any respect.
    pub(super) fn exceeds(self, hash: &PasswordHash) -> bool {
        hash.cost().is_none_or(|cost| !cost.is_at_least(self))
    }
}

impl Default for HashCost {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A hash of a password as a PHC string: algorithm, cost, salt and result.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(phc::PasswordHash);

impl PasswordHash {
    /// Reads a PHC string of Argon2id, and of no other algorithm.
    pub fn parse(text: &str) -> Result<Self, BoxedError> {
        let hash = Self(phc::PasswordHash::new(text)?);
        if hash.0.algorithm != argon2::ARGON2ID_IDENT {
            return Err("not an Argon2id hash".into());
        }
        if hash.0.version != Some(u32::from(Version::V0x13)) {
            return Err("not version 0x13 of Argon2".into());
        }
        match hash.cost() {
            // A row that asks for a terabyte must not get it.
            Some(cost) if HashCost::MAX.is_at_least(cost) => Ok(hash),
            _ => Err("Argon2 parameters out of range".into()),
        }
    }

    /// The PHC string.
    pub fn to_phc(&self) -> String {
        self.0.to_string()
    }

    fn cost(&self) -> Option<HashCost> {
        let params = Params::try_from(&self.0).ok()?;
        Some(HashCost {
            memory_kib: params.m_cost(),
            iterations: params.t_cost(),
            parallelism: params.p_cost(),
        })
    }

    /// Whether this is a hash of `password`; compares in constant time.
    pub(super) fn verify(
        &self,
        password: &Password,
        memory: &mut Memory,
    ) -> Result<bool, BoxedError> {
        let (Some(salt), Some(expected)) = (&self.0.salt, &self.0.hash) else {
            return Err("a hash without salt or output".into());
        };
        let params = Params::try_from(&self.0)?;
        Ok(memory.argon2id(password, salt, expected.len(), &params)? == *expected)
    }
}

/// The memory that a hash is made in, kept for the next one: allocators hold on to
/// blocks of this size in ways that add up to many times what is in use.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    fn argon2id(
        &mut self,
        password: &Password,
        salt: &[u8],
        output_length: usize,
        params: &Params,
    ) -> Result<Output, BoxedError> {
        let blocks = params.block_count();
        // Of a stranger cost, after it was changed: what is too much goes back.
        self.0.truncate(blocks);
        self.0.shrink_to_fit();
        self.0.resize(blocks, Block::default());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let mut output = [0; Output::MAX_LENGTH];
        let output = output
            .get_mut(..output_length)
            .ok_or("an output too long")?;
        argon2.hash_password_into_with_memory(
            password.expose().as_bytes(),
            salt,
            output,
            &mut self.0[..],
        )?;
        Ok(Output::new(output)?)
    }
}

/// Prints nothing: a hash is something to guess against.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}
