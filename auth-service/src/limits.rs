//! How many guesses at a password, registrations and guests there may be.
//!
//! A guess is counted *before* the password is looked at, in one transaction over
//! every bucket it falls into, and given back if it was right: a parallel burst
//! gets no further than a slow one. Buckets refill, so nobody is locked out for
//! good, and they rest in the store, so a restart forgives nothing.
//!
//! Where a guess comes from decides what it counts against:
//!
//! * a source that this account was signed in to from before has buckets of its
//!   own, which strangers cannot empty: the owner gets in at home while the
//!   account is attacked from elsewhere;
//! * all other sources together share the account's buckets, each has one for
//!   itself over all accounts, and there is one for everything.
//!
//! Addresses without an account are counted like those with one. A bucket's key is
//! a hash of what it limits: the table names nobody.

mod bucket;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::email::Email;
use crate::session::Client;
use crate::store::{LimitStore, StoreError};

pub use bucket::{Bucket, Quota};

/// Most sources an account remembers: home, work, a phone's networks.
pub const MAX_KNOWN_SOURCES: u32 = 10;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// How much of what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// Wrong passwords for one account from one source.
    pub account_and_source: Quota,
    /// Wrong passwords for one account from one source it was signed in to from
    /// before, over a longer time.
    pub known_source: Quota,
    /// Wrong passwords for one account from all unknown sources.
    pub account: Quota,
    /// The same, over a longer time.
    pub account_long: Quota,
    /// Wrong passwords from one source for all accounts.
    pub source: Quota,
    /// Wrong passwords in all, from unknown sources.
    pub everything: Quota,
    /// Registrations from one source.
    pub registration: Quota,
    /// Guest sessions from one source.
    pub guest: Quota,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            // A person mistypes a few times, then waits a minute for each try.
            account_and_source: Quota::new(5, MINUTE),
            // The wrong tries in a row that one account sees: from strangers 50 and then 24 a
            // day (`account_long`), and from each of at most `MAX_KNOWN_SOURCES` known
            // sources another 50 and then one an hour. That is more than the hundred in all
            // of LP-04 (NIST SP 800-63B-4 section 3.2.2), on purpose: a count that stops at a
            // hundred lets whoever reaches it lock the owner out for good.
            known_source: Quota::new(50, HOUR),
            account: Quota::new(20, 5 * MINUTE),
            // A stranger must keep guessing each hour to hold new devices off; at one a day a
            // single request would.
            account_long: Quota::new(50, HOUR),
            // An office behind one address mistypes more than a person.
            source: Quota::new(50, Duration::from_secs(10)),
            // Far above what people do, far below what a botnet can.
            everything: Quota::new(600, Duration::from_millis(100)),
            registration: Quota::new(20, MINUTE),
            guest: Quota::new(100, Duration::from_secs(1)),
        }
    }
}

/// SHA-256 of what a bucket limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketKey([u8; 32]);

impl BucketKey {
    /// The bytes, for a store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // Lengths first, so that no two lists of parts read the same.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    fn account(email: &Email) -> Self {
        Self::of(&[b"account", email.normalised().as_bytes()])
    }

    fn source(client: &Client) -> Self {
        Self::of(&[b"source", &source_of(client)])
    }
}

/// What counts as one source: an IPv4 address, or the /64 that IPv6 gives to every
/// customer. Clients without an address share one.
fn source_of(client: &Client) -> Vec<u8> {
    match client.address().parse() {
        Ok(IpAddr::V4(address)) => address.octets().to_vec(),
        Ok(IpAddr::V6(address)) => address.octets()[..8].to_vec(),
        Err(_) => Vec::new(),
    }
}

/// One taken from one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Which bucket.
    pub key: BucketKey,
    /// What it holds.
    pub quota: Quota,
}

/// Whether there was one left in every bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There was, and it is taken.
    Allowed,
    /// There was not, and nothing is taken.
    Denied {
        /// When there will be, if nobody else comes.
        retry_after: Duration,
    },
}

/// Why something was not allowed.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// Too many of them.
    #[error("too many attempts")]
    TooMany {
        /// When the next one may come.
        retry_after: Duration,
    },
    /// The count could not be read; without it nothing is allowed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A guess that was counted. It stays counted unless it is given back.
#[derive(Debug)]
#[must_use = "a right guess is given back"]
pub struct Attempt {
    account: BucketKey,
    source: BucketKey,
    charges: Vec<Charge>,
}

/// Counts what is limited.
#[derive(Clone)]
pub struct Limits {
    store: Arc<dyn LimitStore>,
    settings: LimitSettings,
}

impl Limits {
    /// Counts in `store`.
    pub fn new(store: Arc<dyn LimitStore>, settings: LimitSettings) -> Self {
        Self { store, settings }
    }

    /// Counts a guess at the password of `email`.
    pub async fn guess(
        &self,
        email: &Email,
        client: &Client,
        now: Timestamp,
    ) -> Result<Attempt, LimitError> {
        let account = BucketKey::account(email);
        let source = BucketKey::source(client);
        let known = self.store.is_known_source(&account, &source).await?;
        let charges = self.charges(account, source, known);
        self.take(&charges, now).await?;
        Ok(Attempt {
            account,
            source,
            charges,
        })
    }

    /// Gives back a guess that was right, and remembers where it came from.
    pub async fn guessed_right(&self, attempt: &Attempt, now: Timestamp) -> Result<(), StoreError> {
        self.store.give_back(&attempt.charges, now).await?;
        self.store
            .remember_source(&attempt.account, &attempt.source, now)
            .await
    }

    /// Gives back a guess that nobody looked at.
    pub async fn not_tried(&self, attempt: &Attempt, now: Timestamp) -> Result<(), StoreError> {
        self.store.give_back(&attempt.charges, now).await
    }

    /// Counts a registration.
    pub async fn registration(&self, client: &Client, now: Timestamp) -> Result<(), LimitError> {
        let key = BucketKey::of(&[b"registration", &source_of(client)]);
        self.take(
            &[Charge {
                key,
                quota: self.settings.registration,
            }],
            now,
        )
        .await
    }

    /// Remembers where an account was made from.
    pub async fn registered(
        &self,
        email: &Email,
        client: &Client,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (account, source) = (BucketKey::account(email), BucketKey::source(client));
        self.store.remember_source(&account, &source, now).await
    }

    /// Counts a guest session.
    pub async fn guest(&self, client: &Client, now: Timestamp) -> Result<(), LimitError> {
        let key = BucketKey::of(&[b"guest", &source_of(client)]);
        self.take(
            &[Charge {
                key,
                quota: self.settings.guest,
            }],
            now,
        )
        .await
    }

    /// Forgets buckets that are full again, a batch at a time.
    pub async fn purge(&self, now: Timestamp, at_most: u32) -> Result<u64, StoreError> {
        self.store.drop_full_buckets(now, at_most).await
    }

    fn charges(&self, account: BucketKey, source: BucketKey, known: bool) -> Vec<Charge> {
        let settings = &self.settings;
        let charge = |what: &[u8], keys: &[BucketKey], quota| {
            let mut parts = vec![what];
            parts.extend(keys.iter().map(BucketKey::as_bytes));
            Charge {
                key: BucketKey::of(&parts),
                quota,
            }
        };
        let pair = charge(b"pair", &[account, source], settings.account_and_source);
        if known {
            return vec![
                pair,
                charge(b"known", &[account, source], settings.known_source),
            ];
        }
        vec![
            pair,
            charge(b"account", &[account], settings.account),
            charge(b"account long", &[account], settings.account_long),
            charge(b"source", &[source], settings.source),
            charge(b"everything", &[], settings.everything),
        ]
    }

    async fn take(&self, charges: &[Charge], now: Timestamp) -> Result<(), LimitError> {
        match self.store.take(charges, now).await? {
            Verdict::Allowed => Ok(()),
            Verdict::Denied { retry_after } => Err(LimitError::TooMany { retry_after }),
        }
    }
}
