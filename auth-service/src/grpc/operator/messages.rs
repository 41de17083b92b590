//! What an operator may name, checked.

use proto::auth::v1::{self, account_name::Name};
use token_verifier::{Subject, SubjectKind};
use tonic::Status;

use crate::email::Email;
use crate::operator::AccountName;
use crate::session::SessionId;

/// A RFC 7638 thumbprint by SHA-256: 32 bytes in base64url.
const KID_CHARS: usize = 43;

pub(super) fn session_id(text: &str) -> Result<SessionId, Status> {
    SessionId::parse(text)
        .ok_or_else(|| wrong("session_id", "must be a UUID of 36 lower-case characters"))
}

/// Somebody who can have sessions.
pub(super) fn subject(text: &str) -> Result<Subject, Status> {
    one_of(text, &[SubjectKind::User, SubjectKind::Guest])
        .ok_or_else(|| wrong("subject", "must be usr_ or gst_ and a UUID"))
}

/// An account, or somebody who can have one.
pub(super) fn account(account: Option<v1::AccountName>) -> Result<AccountName, Status> {
    match account.and_then(|account| account.name) {
        Some(Name::Email(email)) => Email::parse(&email)
            .map(AccountName::Email)
            .map_err(|problem| wrong("email", &problem.to_string())),
        Some(Name::Subject(subject)) => one_of(&subject, &[SubjectKind::User])
            .map(AccountName::Subject)
            .ok_or_else(|| wrong("subject", "must be usr_ and a UUID")),
        None => Err(wrong("account", "must be an email or a subject")),
    }
}

/// Anything else is no key's id, and does not get into a log.
pub(super) fn kid(text: &str) -> Result<&str, Status> {
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if text.len() == KID_CHARS && text.bytes().all(is_base64url) {
        Ok(text)
    } else {
        Err(wrong("kid", "must be 43 characters of base64url"))
    }
}

fn one_of(text: &str, kinds: &[SubjectKind]) -> Option<Subject> {
    let subject = Subject::parse(text).ok()?;
    kinds.contains(&subject.kind()).then_some(subject)
}

fn wrong(field: &str, description: &str) -> Status {
    chassis::status::invalid([(field, description)])
}

/// More sessions than this nobody has.
pub(super) fn count(sessions: usize) -> u32 {
    u32::try_from(sessions).unwrap_or(u32::MAX)
}
