//! What `/auth/**` takes and gives.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The auth service's own bound on passwords, in characters.
const MAX_PASSWORD_CHARS: usize = 256;
/// RFC 5321's bound on a path, in bytes.
const MAX_EMAIL_BYTES: usize = 254;
/// Before trimming; far above what any name needs.
const MAX_NAME_BYTES: usize = 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
    pub(super) email: String,
    pub(super) password: String,
    #[serde(default)]
    pub(super) display_name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    pub(super) email: String,
    pub(super) password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePassword {
    pub(super) current_password: String,
    pub(super) new_password: String,
}

impl Register {
    pub(super) fn check(&self) -> Result<(), Error> {
        check_email(&self.email)?;
        check_password("password", &self.password)?;
        if self.display_name.len() > MAX_NAME_BYTES {
            return Err(Error::field("display_name", "is too long"));
        }
        Ok(())
    }
}

impl Login {
    pub(super) fn check(&self) -> Result<(), Error> {
        check_email(&self.email)?;
        check_password("password", &self.password)
    }
}

impl ChangePassword {
    pub(super) fn check(&self) -> Result<(), Error> {
        check_password("current_password", &self.current_password)?;
        check_password("new_password", &self.new_password)
    }
}

fn check_email(email: &str) -> Result<(), Error> {
    if email.len() > MAX_EMAIL_BYTES {
        return Err(Error::field("email", "is longer than 254 bytes"));
    }
    Ok(())
}

fn check_password(field: &str, password: &str) -> Result<(), Error> {
    if password.chars().count() > MAX_PASSWORD_CHARS {
        return Err(Error::field(field, "is longer than 256 characters"));
    }
    Ok(())
}

#[derive(Serialize)]
pub(super) struct SignedIn {
    pub(super) user: User,
    pub(super) session: Session,
}

#[derive(Serialize)]
pub(super) struct User {
    subject: String,
    email: String,
    display_name: String,
}

impl From<proto::auth::v1::User> for User {
    fn from(user: proto::auth::v1::User) -> Self {
        Self {
            subject: user.subject,
            email: user.email,
            display_name: user.display_name,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Guest,
    User,
}

#[derive(Serialize)]
pub(super) struct Session {
    id: String,
    kind: Kind,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    authenticated_at: Option<Timestamp>,
    last_seen_at: Timestamp,
    expires_at: Timestamp,
    amr: Vec<String>,
    user_agent: String,
    address: String,
    current: bool,
}

impl Session {
    /// The session that asks.
    pub(super) fn own(session: proto::auth::v1::Session) -> Result<Self, Error> {
        Ok(Self {
            current: true,
            ..Self::listed(session)?
        })
    }

    /// A session in a list, which says itself whether it is the one that asks.
    pub(super) fn listed(session: proto::auth::v1::Session) -> Result<Self, Error> {
        use proto::auth::v1::SessionKind;
        let kind = match session.kind() {
            SessionKind::Guest => Kind::Guest,
            SessionKind::User => Kind::User,
            SessionKind::Unspecified => return Err(Error::AuthAnswer("a session of no kind")),
        };
        Ok(Self {
            kind,
            created_at: instant(session.created_at)?,
            authenticated_at: session
                .authenticated_at
                .map(|at| instant(Some(at)))
                .transpose()?,
            last_seen_at: instant(session.last_seen_at)?,
            expires_at: instant(session.expires_at)?,
            id: session.id,
            amr: session.amr,
            user_agent: session.user_agent,
            address: session.address,
            current: session.current,
        })
    }
}

fn instant(sent: Option<prost_types::Timestamp>) -> Result<Timestamp, Error> {
    sent.and_then(|sent| Timestamp::new(sent.seconds, sent.nanos).ok())
        .ok_or(Error::AuthAnswer("a session without an instant"))
}

/// `GET /auth/session`: 200 for everybody.
#[derive(Serialize)]
pub(super) struct WhoAmI {
    pub(super) authenticated: bool,
    pub(super) guest: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<User>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<Session>,
}

#[derive(Serialize)]
pub(super) struct Sessions {
    pub(super) sessions: Vec<Session>,
}
