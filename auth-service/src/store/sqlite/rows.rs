//! Rows as they rest, and back to what they mean. A row that this program cannot
//! have written is an error, never a guess.

use jiff::Timestamp;
use sqlx::FromRow;
use token_verifier::Subject;

use crate::account::{Account, DisplayName};
use crate::email::Email;
use crate::password::PasswordHash;
use crate::session::{Client, Session, SessionId, SessionKind};
use crate::store::{BoxedError, SigningKeyRecord, SigningKeyState, StoreError};

#[derive(FromRow)]
pub(super) struct AccountRow {
    subject: String,
    email: String,
    display_name: String,
    password_hash: String,
    created_at: i64,
    disabled_at: Option<i64>,
}

impl AccountRow {
    pub(super) fn into_account(self) -> Result<Account, StoreError> {
        self.read().map_err(|source| StoreError::Corrupt {
            table: "accounts",
            source,
        })
    }

    fn read(self) -> Result<Account, BoxedError> {
        Ok(Account {
            subject: Subject::parse(&self.subject)?,
            email: Email::parse(&self.email)?,
            display_name: DisplayName::parse(&self.display_name)?,
            password_hash: PasswordHash::parse(&self.password_hash)?,
            created_at: Timestamp::from_millisecond(self.created_at)?,
            disabled_at: self
                .disabled_at
                .map(Timestamp::from_millisecond)
                .transpose()?,
        })
    }
}

#[derive(FromRow)]
pub(super) struct SessionRow {
    id: String,
    subject: String,
    kind: String,
    created_at: i64,
    authenticated_at: Option<i64>,
    last_seen_at: i64,
    expires_at: i64,
    absolute_expires_at: i64,
    amr: String,
    user_agent: String,
    address: String,
    prior_subject: Option<String>,
}

impl SessionRow {
    pub(super) fn into_session(self) -> Result<Session, StoreError> {
        self.read().map_err(|source| StoreError::Corrupt {
            table: "sessions",
            source,
        })
    }

    fn read(self) -> Result<Session, BoxedError> {
        let authenticated_at = self.authenticated_at.map(Timestamp::from_millisecond);
        Ok(Session {
            id: SessionId::parse(&self.id).ok_or("id is not a UUID")?,
            subject: Subject::parse(&self.subject)?,
            kind: read_kind(&self.kind)?,
            created_at: Timestamp::from_millisecond(self.created_at)?,
            authenticated_at: authenticated_at.transpose()?,
            last_seen_at: Timestamp::from_millisecond(self.last_seen_at)?,
            expires_at: Timestamp::from_millisecond(self.expires_at)?,
            absolute_expires_at: Timestamp::from_millisecond(self.absolute_expires_at)?,
            amr: self.amr.split_whitespace().map(str::to_owned).collect(),
            client: Client::new(&self.address, &self.user_agent),
            prior_subject: self
                .prior_subject
                .as_deref()
                .map(Subject::parse)
                .transpose()?,
        })
    }
}

fn read_kind(text: &str) -> Result<SessionKind, BoxedError> {
    match text {
        "guest" => Ok(SessionKind::Guest),
        "user" => Ok(SessionKind::User),
        _ => Err("kind is neither guest nor user".into()),
    }
}

pub(super) fn kind_text(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Guest => "guest",
        SessionKind::User => "user",
    }
}

/// What `RETURNING id` gave.
pub(super) fn read_ids(ids: Vec<String>) -> Result<Vec<SessionId>, StoreError> {
    ids.iter().map(|id| read_id(id)).collect()
}

pub(super) fn read_id(id: &str) -> Result<SessionId, StoreError> {
    SessionId::parse(id).ok_or_else(|| StoreError::Corrupt {
        table: "sessions",
        source: "id is not a UUID".into(),
    })
}

#[derive(FromRow)]
pub(super) struct SigningKeyRow {
    kid: String,
    algorithm: String,
    state: String,
    public_key: Vec<u8>,
    encrypted_private_key: String,
    created_at: i64,
    activated_at: Option<i64>,
    retiring_at: Option<i64>,
}

impl SigningKeyRow {
    pub(super) fn into_record(self) -> Result<SigningKeyRecord, StoreError> {
        self.read().map_err(|source| StoreError::Corrupt {
            table: "signing_keys",
            source,
        })
    }

    fn read(self) -> Result<SigningKeyRecord, BoxedError> {
        Ok(SigningKeyRecord {
            kid: self.kid,
            algorithm: self.algorithm,
            state: read_state(&self.state)?,
            public_key: self.public_key,
            encrypted_private_key: self.encrypted_private_key,
            created_at: Timestamp::from_millisecond(self.created_at)?,
            activated_at: self
                .activated_at
                .map(Timestamp::from_millisecond)
                .transpose()?,
            retiring_at: self
                .retiring_at
                .map(Timestamp::from_millisecond)
                .transpose()?,
        })
    }
}

fn read_state(text: &str) -> Result<SigningKeyState, BoxedError> {
    match text {
        "upcoming" => Ok(SigningKeyState::Upcoming),
        "active" => Ok(SigningKeyState::Active),
        "retiring" => Ok(SigningKeyState::Retiring),
        _ => Err("unknown state".into()),
    }
}

pub(super) fn state_text(state: SigningKeyState) -> &'static str {
    match state {
        SigningKeyState::Upcoming => "upcoming",
        SigningKeyState::Active => "active",
        SigningKeyState::Retiring => "retiring",
    }
}
