//! A session and its secret, and how one becomes another. Pure: knows neither
//! the store nor the clock; time comes in as `now`.
//!
//! All instants are whole milliseconds, which is what a store keeps.

mod secret;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use token_verifier::Subject;
use uuid::Uuid;

use crate::entropy::{Entropy, uuid_v4, uuid_v7};

pub use secret::{SECRET_CHARS, SecretHash, SessionSecret};

/// How long sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTtls {
    /// A person's session that nothing uses ends after this.
    pub user_idle: Duration,
    /// A person's session ends after this, used or not.
    pub user_absolute: Duration,
    /// A guest's session that nothing uses ends after this.
    pub guest_idle: Duration,
    /// A guest's session ends after this, used or not.
    pub guest_absolute: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl SessionTtls {
    /// A week: somebody who comes by every weekend stays signed in.
    pub const USER_IDLE: Duration = DAY.saturating_mul(7);
    /// Thirty days: NIST SP 800-63B-4 asks AAL1 sessions to end at least that often.
    pub const USER_ABSOLUTE: Duration = DAY.saturating_mul(30);
    /// Three days, sooner than a person's: most guests never come back, and each costs a row.
    pub const GUEST_IDLE: Duration = DAY.saturating_mul(3);
    /// Two weeks: a guest who keeps coming keeps the cart over two paydays at most.
    pub const GUEST_ABSOLUTE: Duration = DAY.saturating_mul(14);

    /// Idle and absolute limit of a kind.
    fn of(&self, kind: SessionKind) -> (Duration, Duration) {
        match kind {
            SessionKind::User => (self.user_idle, self.user_absolute),
            SessionKind::Guest => (self.guest_idle, self.guest_absolute),
        }
    }
}

impl Default for SessionTtls {
    fn default() -> Self {
        Self {
            user_idle: Self::USER_IDLE,
            user_absolute: Self::USER_ABSOLUTE,
            guest_idle: Self::GUEST_IDLE,
            guest_absolute: Self::GUEST_ABSOLUTE,
        }
    }
}

/// A touch is written when the last one is older than this share of the idle limit,
/// so that a request costs a read and only now and then a write.
const TOUCHES_PER_IDLE_TTL: u32 = 20;
/// At least this often, so that the list of devices tells the truth about today.
const MAX_TOUCH_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How long a replaced secret still speaks for the session that took its place. Requests
/// under way at a sign-in are over by then, and a browser whose answer was lost must
/// not be told for days that it has a better cookie.
pub const REPLACED_GRACE: Duration = Duration::from_secs(60);

/// Authentication method reference of a password (RFC 8176).
pub const AMR_PASSWORD: &str = "pwd";

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// Nobody has signed in.
    Guest,
    /// A person.
    User,
}

/// A session's public name, the `sid` of its tokens: a UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Uuid);

impl SessionId {
    /// Reads the canonical text form, and that alone: 36 lower-case characters.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?;
        (id.hyphenated().to_string() == text).then_some(Self(id))
    }

    /// The UUID's bytes, which is how the revocation log names a session.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// From what [`SessionId::as_bytes`] gave.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Where a request came from. For people's list of devices and for limits.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Client {
    address: String,
    user_agent: String,
}

/// The longest user agent that is kept, in bytes.
pub const MAX_USER_AGENT_BYTES: usize = 256;

impl Client {
    /// Keeps an address only if it is one, and of a user agent what can be printed.
    pub fn new(address: &str, user_agent: &str) -> Self {
        let address = address
            .parse()
            .map(|address: std::net::IpAddr| address.to_canonical());
        let end = user_agent.floor_char_boundary(MAX_USER_AGENT_BYTES);
        Self {
            address: address
                .map(|address| address.to_string())
                .unwrap_or_default(),
            user_agent: user_agent[..end]
                .chars()
                .filter(|c| !c.is_control())
                .collect(),
        }
    }

    /// IPv4 or IPv6 address without port; empty if there was none.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The `User-Agent`, cut to [`MAX_USER_AGENT_BYTES`].
    pub fn user_agent(&self) -> &str {
        &self.user_agent
    }
}

/// Prints nothing: where somebody is must not reach a log by accident.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(..)")
    }
}

/// A session without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The `sid`.
    pub id: SessionId,
    /// `usr_…` or `gst_…`.
    pub subject: Subject,
    /// Guest or user.
    pub kind: SessionKind,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its person last proved who they are; none for guests.
    pub authenticated_at: Option<Timestamp>,
    /// Last use, to within the touch interval.
    pub last_seen_at: Timestamp,
    /// When it ends if nothing uses it before; never after `absolute_expires_at`.
    pub expires_at: Timestamp,
    /// When it ends, used or not.
    pub absolute_expires_at: Timestamp,
    /// RFC 8176 methods.
    pub amr: Vec<String>,
    /// Where it was made.
    pub client: Client,
    /// The guest whose state this person took over at sign-in.
    pub prior_subject: Option<Subject>,
}

impl Session {
    /// A session for somebody who has not signed in, under a subject of its own.
    pub fn guest(
        client: Client,
        now: Timestamp,
        ttls: &SessionTtls,
        entropy: &dyn Entropy,
    ) -> Self {
        let subject = Subject::parse(&format!("gst_{}", uuid_v4(entropy)))
            .expect("gst_ and a UUID make a subject");
        Self::new(SessionKind::Guest, subject, client, now, ttls, entropy)
    }

    /// A session for a person who has just shown a password.
    pub fn user(
        subject: Subject,
        client: Client,
        prior_subject: Option<Subject>,
        now: Timestamp,
        ttls: &SessionTtls,
        entropy: &dyn Entropy,
    ) -> Self {
        let session = Self::new(SessionKind::User, subject, client, now, ttls, entropy);
        Self {
            authenticated_at: Some(session.created_at),
            amr: vec![AMR_PASSWORD.to_owned()],
            prior_subject,
            ..session
        }
    }

    fn new(
        kind: SessionKind,
        subject: Subject,
        client: Client,
        now: Timestamp,
        ttls: &SessionTtls,
        entropy: &dyn Entropy,
    ) -> Self {
        let now = to_millisecond(now);
        let (idle, absolute) = ttls.of(kind);
        let absolute_expires_at = after(now, absolute);
        Self {
            id: SessionId(uuid_v7(now, entropy)),
            subject,
            kind,
            created_at: now,
            authenticated_at: None,
            last_seen_at: now,
            expires_at: after(now, idle).min(absolute_expires_at),
            absolute_expires_at,
            amr: Vec::new(),
            client,
            prior_subject: None,
        }
    }

    /// Whether it can be used at `now`. The instant of expiry is already too late.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at && now < self.absolute_expires_at
    }

    /// Whether its person signed in, or changed the password, less than
    /// [`REPLACED_GRACE`] before `now`.
    pub fn is_just_authenticated(&self, now: Timestamp) -> bool {
        self.authenticated_at
            .is_some_and(|authenticated_at| now < after(authenticated_at, REPLACED_GRACE))
    }

    /// What a use at `now` changes, if it is worth a write. Only a live session is
    /// touched, and a clock that went back changes nothing.
    pub fn touch(&self, now: Timestamp, ttls: &SessionTtls) -> Option<Touch> {
        let now = to_millisecond(now);
        let (idle, _) = ttls.of(self.kind);
        let interval = (idle / TOUCHES_PER_IDLE_TTL).min(MAX_TOUCH_INTERVAL);
        if !self.is_live(now) || now < after(self.last_seen_at, interval) {
            return None;
        }
        Some(Touch {
            id: self.id,
            last_seen_at: now,
            expires_at: after(now, idle).min(self.absolute_expires_at),
        })
    }

    /// The session as it is after `touch`.
    pub fn touched(self, touch: Touch) -> Self {
        Self {
            last_seen_at: touch.last_seen_at,
            expires_at: touch.expires_at,
            ..self
        }
    }

    /// The session that goes on in this one's place after its person set a new password.
    /// It has another id, so that the tokens of this one can be revoked.
    pub fn continued(self, now: Timestamp, entropy: &dyn Entropy) -> Self {
        let id = SessionId(uuid_v7(to_millisecond(now), entropy));
        Self {
            id,
            ..self.reauthenticated(now)
        }
    }

    /// The same session after its person showed the password again.
    pub fn reauthenticated(self, now: Timestamp) -> Self {
        Self {
            authenticated_at: Some(to_millisecond(now)),
            ..self
        }
    }
}

/// A use of a session that is worth writing down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Which session.
    pub id: SessionId,
    /// Its new last use.
    pub last_seen_at: Timestamp,
    /// Its new end.
    pub expires_at: Timestamp,
}

/// What a sign-in over the session that the cookie named means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Succession {
    /// There is nothing to end.
    Fresh,
    /// The session ends, and its guest's state goes to the new one.
    Replaces {
        /// What the new session carries as `prior_sub`.
        prior_subject: Option<Subject>,
    },
    /// It is another person's: a sign-in must not switch persons silently (login CSRF).
    OtherPerson,
}

/// Decides what becomes of `current` when `subject` signs in.
pub fn succession(current: Option<&Session>, subject: &Subject) -> Succession {
    match current {
        None => Succession::Fresh,
        Some(guest) if guest.kind == SessionKind::Guest => Succession::Replaces {
            prior_subject: Some(guest.subject.clone()),
        },
        // A merge that no service has seen yet must not get lost.
        Some(own) if own.subject == *subject => Succession::Replaces {
            prior_subject: own.prior_subject.clone(),
        },
        Some(_) => Succession::OtherPerson,
    }
}

/// Drops what a store cannot keep.
pub(crate) fn to_millisecond(instant: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(instant.as_millisecond())
        .expect("an instant's own milliseconds are in range")
}

fn after(instant: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    to_millisecond(instant.checked_add(span).unwrap_or(Timestamp::MAX))
}
