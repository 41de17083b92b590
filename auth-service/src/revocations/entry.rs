//! One entry of the log: what is revoked, since when, and for how long that matters.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use token_verifier::{LEEWAY, Subject};

use crate::access_token::MAX_TTL;
use crate::session::SessionId;

/// For how long beyond the longest life of a token an entry is kept: a step that waits
/// for the database commits later than the moment it was asked for, and a token that was
/// exchanged meanwhile lives that much longer.
const MARGIN: Duration = Duration::from_secs(55);

/// How long the entry of a session or a subject is kept: no token that it concerns is
/// accepted anywhere after that.
pub const ENTRY_LIFE: Duration =
    Duration::from_secs(MAX_TTL.as_secs() + LEEWAY.as_secs().unsigned_abs() + MARGIN.as_secs());

/// How long the entry of a key is kept. Whoever stole the key can make tokens that expire
/// when they like, so it must outlast every copy of the JWKS that still has the key: a
/// verifier may start with a saved one that is a week old.
pub const KEY_ENTRY_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How far a clock that was ahead may have been set back: entries live that much longer
/// if it was. A clock that was further off than that is not waited for, because entries
/// would fill the memory of every follower.
pub const MAX_CLOCK_STEP: Duration = Duration::from_secs(24 * 60 * 60);

/// What is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationTarget {
    /// Every token of this session.
    Session(SessionId),
    /// Every token of this subject that was issued before an instant.
    Subject {
        /// Whose.
        subject: Subject,
        /// In seconds since 1970 UTC, as `iat` is.
        issued_before_s: i64,
    },
    /// Every token that this key signed.
    Key(String),
}

impl RevocationTarget {
    /// A stable word for metrics.
    pub fn kind(&self) -> RevocationKind {
        match self {
            Self::Session(_) => RevocationKind::Session,
            Self::Subject { .. } => RevocationKind::Subject,
            Self::Key(_) => RevocationKind::Key,
        }
    }
}

/// What sort of thing is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevocationKind {
    /// A session.
    Session,
    /// A subject.
    Subject,
    /// A signing key.
    Key,
}

impl RevocationKind {
    /// As it stands in the store and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Subject => "subject",
            Self::Key => "key",
        }
    }
}

/// An entry on its way into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRevocation {
    /// What is revoked.
    pub target: RevocationTarget,
    /// When.
    pub revoked_at: Timestamp,
    /// From here on, in seconds since 1970 UTC, no token that it concerns can be alive.
    pub expires_at_s: i64,
}

impl NewRevocation {
    /// A session has ended.
    pub fn session(id: SessionId, now: Timestamp) -> Self {
        Self::living(RevocationTarget::Session(id), now, ENTRY_LIFE)
    }

    /// All that was issued to a subject before the second of `now` is void. Tokens of
    /// that same second are not: its sessions have entries of their own, and a sign-in
    /// right afterwards is not refused.
    pub fn subject(subject: Subject, now: Timestamp) -> Self {
        let target = RevocationTarget::Subject {
            subject,
            issued_before_s: now.as_second(),
        };
        Self::living(target, now, ENTRY_LIFE)
    }

    /// A signing key is compromised.
    pub fn key(kid: impl Into<String>, now: Timestamp) -> Self {
        Self::living(RevocationTarget::Key(kid.into()), now, KEY_ENTRY_LIFE)
    }

    fn living(target: RevocationTarget, now: Timestamp, life: Duration) -> Self {
        Self {
            target,
            revoked_at: now,
            // The second that `now` is in counts whole.
            expires_at_s: now.as_second() + 1 + life.as_secs().cast_signed(),
        }
    }
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its place in the log.
    pub seq: u64,
    /// What is revoked.
    pub target: RevocationTarget,
    /// When.
    pub revoked_at: Timestamp,
    /// From here on, in seconds since 1970 UTC, no token that it concerns can be alive.
    pub expires_at_s: i64,
}

/// Names a log: another database, another log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogId(String);

impl LogId {
    /// Takes it as the store made it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// As followers know it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which log.
    pub log_id: LogId,
    /// The number of its newest entry, be that dropped by now or not; 0: there was none.
    pub seq: u64,
}
