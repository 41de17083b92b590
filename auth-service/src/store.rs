//! What the auth service keeps, as traits as small as their callers need.
//!
//! Every method that changes more than one thing does so in one transaction, and
//! every method that ends sessions appends an entry for each to the revocation log in
//! the same transaction, and says which. One behaviour suite (`store/tests.rs`)
//! holds every implementation to the same answers.

pub mod sqlite;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use token_verifier::Subject;

use crate::account::Account;
use crate::email::Email;
use crate::limits::{BucketKey, Charge, Verdict};
use crate::password::PasswordHash;
use crate::revocations::{Head, Revocation};
use crate::session::{SecretHash, Session, SessionId, Touch};

/// Most sessions a listing returns; also the most a subject may have (CS-17).
pub const MAX_SESSIONS_PER_SUBJECT: u32 = 100;

/// Why a store could not answer. Not finding something is not among the reasons.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, busy or full. Nothing was changed; trying again later may help.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxedError),
    /// A row says what this program never writes.
    #[error("a row of {table} cannot be read")]
    Corrupt {
        /// Where it stands.
        table: &'static str,
        /// What is wrong with it.
        #[source]
        source: BoxedError,
    },
    /// The store refused what it must not refuse: our bug.
    #[error("the store refused a statement")]
    Internal(#[source] BoxedError),
}

/// A cause from below, kept whole.
pub type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// A session on its way into the store.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// What it is.
    pub session: Session,
    /// Of the secret that opens it.
    pub secret_hash: SecretHash,
    /// The session that it takes the place of, which ends in the same transaction.
    pub replaces: Option<SecretHash>,
}

/// How [`AccountStore::register`] went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// Account and session are made.
    Done {
        /// Sessions that this ended.
        ended: Vec<SessionId>,
    },
    /// Somebody has that address; nothing was changed.
    EmailTaken,
    /// The session to replace is gone; nothing was changed.
    ReplacedGone,
}

/// How [`AccountStore::sign_in`] went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedIn {
    /// The session is made.
    Done {
        /// Sessions that this ended.
        ended: Vec<SessionId>,
    },
    /// The account is no longer what was verified: its password was changed, or it
    /// was disabled or deleted, since. Nothing was changed.
    AccountChanged,
    /// The session to replace is gone; nothing was changed.
    ReplacedGone,
}

/// A new password, and what else must happen with it.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    /// Whose.
    pub subject: Subject,
    /// The hash that the current password was verified against.
    pub verified: PasswordHash,
    /// The hash of the new password.
    pub password_hash: PasswordHash,
    /// The session that asks, and stays, as it is afterwards.
    pub session: Session,
    /// Of its secret until now.
    pub old_secret: SecretHash,
    /// Of its secret from now on.
    pub new_secret: SecretHash,
}

/// How [`AccountStore::change_password`] went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordChanged {
    /// It is changed, and the session has its new secret.
    Done {
        /// The subject's other sessions, all of them ended by this.
        ended: Vec<SessionId>,
    },
    /// The session ended or the account changed meanwhile; nothing was changed.
    Gone,
}

/// People's accounts, and the steps that change an account and sessions together.
#[async_trait]
pub trait AccountStore: Send + Sync + 'static {
    /// The account with this normalised address.
    async fn find_account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError>;

    /// The account of this subject.
    async fn find_account(&self, subject: &Subject) -> Result<Option<Account>, StoreError>;

    /// Makes the account and its first session. What it ends, it ends at the moment that
    /// session was made.
    async fn register(
        &self,
        account: &Account,
        session: &NewSession,
    ) -> Result<Registered, StoreError>;

    /// Makes a session for an account whose hash is still `verified`, sets `rehashed`
    /// if there is one, and ends the oldest sessions past
    /// [`MAX_SESSIONS_PER_SUBJECT`]. What it ends, it ends at the moment that session was
    /// made.
    async fn sign_in(
        &self,
        session: &NewSession,
        verified: &PasswordHash,
        rehashed: Option<&PasswordHash>,
    ) -> Result<SignedIn, StoreError>;

    /// Sets a new password, gives the session a new secret and the id that `change` says,
    /// and ends all others, and its former id, at the moment that its person proved who
    /// they are.
    async fn change_password(&self, change: &PasswordChange)
    -> Result<PasswordChanged, StoreError>;
}

/// Sessions. A session that ended is gone: nothing here can bring one back, and a
/// touch of one that is gone does nothing.
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Makes a guest's session, whose subject has no other.
    async fn create_session(&self, session: &NewSession) -> Result<(), StoreError>;

    /// The session whose secret has this hash, be it live or expired. One indexed read.
    async fn find_session(&self, secret: &SecretHash) -> Result<Option<Session>, StoreError>;

    /// The session, be it live or expired, that took the place of the one whose secret
    /// had this hash: at a sign-in, or under a new secret at a password change.
    async fn find_successor(&self, secret: &SecretHash) -> Result<Option<Session>, StoreError>;

    /// Writes a later use down. False: there is no such session, or it was used since.
    async fn touch_session(&self, touch: &Touch) -> Result<bool, StoreError>;

    /// Ends the session whose secret has this hash, and no other.
    async fn end_session(
        &self,
        secret: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<SessionId>, StoreError>;

    /// Ends the session whose secret has this hash or, if that one was replaced, the
    /// session that took its place less than [`crate::session::REPLACED_GRACE`] before
    /// `now`.
    async fn sign_out(
        &self,
        secret: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<SessionId>, StoreError>;

    /// Ends one session of this subject. False: the subject has none with this id
    /// that is live at `now`.
    async fn end_session_of(
        &self,
        subject: &Subject,
        id: SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Ends all sessions of this subject but one. None: that one is gone, and nothing
    /// was ended.
    async fn end_other_sessions(
        &self,
        subject: &Subject,
        kept: SessionId,
        now: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, StoreError>;

    /// The subject's sessions that are live at `now`, newest first, at most
    /// [`MAX_SESSIONS_PER_SUBJECT`].
    async fn list_sessions(
        &self,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError>;

    /// Ends up to `at_most` sessions that are no longer live at `now`. Those that no
    /// token can have outlived need no entry in the log.
    async fn end_expired_sessions(
        &self,
        now: Timestamp,
        at_most: u32,
    ) -> Result<Vec<SessionId>, StoreError>;
}

/// What an operator does by hand.
#[async_trait]
pub trait OperatorStore: Send + Sync + 'static {
    /// Ends a session. False: there is none with this id.
    async fn revoke_session(&self, id: SessionId, now: Timestamp) -> Result<bool, StoreError>;

    /// Ends every session of a subject, and revokes every token issued to it until `now`.
    async fn revoke_subject(
        &self,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError>;

    /// Disables an account: nobody can sign in to it, its sessions end, and every token
    /// issued to it is revoked. The same again if it is disabled already. None: there is
    /// no such account.
    async fn disable_account(
        &self,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, StoreError>;

    /// Lets an account be signed in to again. False: there is no such account.
    async fn enable_account(&self, subject: &Subject) -> Result<bool, StoreError>;
}

/// The revocation log: one total order, in which no reader can skip an entry.
#[async_trait]
pub trait RevocationLog: Send + Sync + 'static {
    /// Where it ends. Every entry up to there is committed: whoever reads on from a head
    /// misses nothing.
    async fn head(&self) -> Result<Head, StoreError>;

    /// The entries after this one in the order of the log, at most `limit`.
    async fn read_after(&self, seq: u64, limit: u32) -> Result<Vec<Revocation>, StoreError>;

    /// Drops up to `at_most` entries that concern no living token at `now`. The head
    /// stays where it is.
    async fn drop_expired_revocations(
        &self,
        now: Timestamp,
        at_most: u32,
    ) -> Result<u64, StoreError>;

    /// Notes that it is, or was, `now`: entries that are appended while the clock shows an
    /// earlier time live longer by the difference, because there may be tokens from then.
    /// At most [`crate::revocations::entry::MAX_CLOCK_STEP`] is made up for.
    async fn note_time(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Returns when this program has appended since it last returned, or may have. It is
    /// a hint for one reader: what other programs append it may not notice.
    async fn appended(&self);
}

/// What limits count, so that a restart forgets none of it.
#[async_trait]
pub trait LimitStore: Send + Sync + 'static {
    /// Takes one from every bucket, or from none of them, in one step: of a hundred
    /// callers at once no more get through than the buckets hold.
    async fn take(&self, charges: &[Charge], now: Timestamp) -> Result<Verdict, StoreError>;

    /// Gives back what [`LimitStore::take`] took.
    async fn give_back(&self, charges: &[Charge], now: Timestamp) -> Result<(), StoreError>;

    /// Whether this account was signed in to from this source before.
    async fn is_known_source(
        &self,
        account: &BucketKey,
        source: &BucketKey,
    ) -> Result<bool, StoreError>;

    /// Notes a source that this account was signed in to from, and forgets the one
    /// unused for longest past [`crate::limits::MAX_KNOWN_SOURCES`].
    async fn remember_source(
        &self,
        account: &BucketKey,
        source: &BucketKey,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Drops up to `at_most` buckets that are full again, which is as good as absent.
    async fn drop_full_buckets(&self, now: Timestamp, at_most: u32) -> Result<u64, StoreError>;
}

/// Where a signing key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningKeyState {
    /// Published, not signing yet.
    Upcoming,
    /// Signing. There is at most one.
    Active,
    /// Published until every token it signed has expired.
    Retiring,
}

/// A signing key as it rests in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// JWS name, for example `EdDSA`.
    pub algorithm: String,
    /// Where it is in its life.
    pub state: SigningKeyState,
    /// Raw public key.
    pub public_key: Vec<u8>,
    /// Private key, encrypted (JWE, compact form).
    pub encrypted_private_key: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When it stopped signing.
    pub retiring_at: Option<Timestamp>,
}

/// A private key on its way under another key-encryption key.
#[derive(Clone, Debug)]
pub struct Reencrypted {
    /// Whose.
    pub kid: String,
    /// The JWE as it was read.
    pub before: String,
    /// The same private key under the other key.
    pub after: String,
}

/// How [`SigningKeyStore::revoke_key`] went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRevoked {
    /// It is gone, and the log says so.
    Done {
        /// The key that signs from now on.
        active: SigningKeyRecord,
    },
    /// There is no such key; nothing was changed.
    NotFound,
}

/// Signing keys. Every step tells what it expects to find and does nothing, answering
/// false, where it finds something else: of several instances that want the same step
/// one takes it.
#[async_trait]
pub trait SigningKeyStore: Send + Sync + 'static {
    /// All keys, oldest first.
    async fn load_all(&self) -> Result<Vec<SigningKeyRecord>, StoreError>;

    /// Adds an active key if there is none. False: another program was faster, and
    /// its key is the one to load.
    async fn insert_first_active(&self, key: &SigningKeyRecord) -> Result<bool, StoreError>;

    /// Adds an upcoming key if there is none, `active` still signs, and at most
    /// `at_most` keys are there afterwards.
    async fn insert_upcoming(
        &self,
        key: &SigningKeyRecord,
        active: &str,
        at_most: usize,
    ) -> Result<bool, StoreError>;

    /// Makes this upcoming key the active one, and that active one, if any, retiring.
    async fn activate_key(
        &self,
        kid: &str,
        retires: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Deletes this retiring key.
    async fn delete_retiring(&self, kid: &str) -> Result<bool, StoreError>;

    /// Deletes this key, whatever its state, and appends that to the revocation log. If
    /// it was the active one, the oldest upcoming key signs from now on or, where there
    /// is none, `replacement`.
    async fn revoke_key(
        &self,
        kid: &str,
        replacement: &SigningKeyRecord,
        now: Timestamp,
    ) -> Result<KeyRevoked, StoreError>;

    /// Puts all of these in place, or none where one is no longer as it was read.
    async fn reencrypt(&self, keys: &[Reencrypted]) -> Result<bool, StoreError>;
}
