//! Where secrets, salts and identifiers get their randomness from.
//!
//! Passed in rather than reached for, so that tests can see that a value came
//! from here, and so that nothing falls back to a weaker generator.

use rand::TryRng as _;
use rand::rngs::SysRng;
use uuid::Uuid;

/// A source of bytes that nobody can predict.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        SysRng
            .try_fill_bytes(bytes)
            .expect("the system's generator does not fail once the system has started");
    }
}

/// A UUIDv7 (RFC 9562) of `now`, so that identifiers sort by age.
pub fn uuid_v7(now: jiff::Timestamp, entropy: &dyn Entropy) -> Uuid {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// A UUIDv4 (RFC 9562): says nothing about when it was made.
pub fn uuid_v4(entropy: &dyn Entropy) -> Uuid {
    let mut random = [0; 16];
    entropy.fill(&mut random);
    uuid::Builder::from_random_bytes(random).into_uuid()
}
