//! Between generated messages and our own types.

use jiff::Timestamp;
use proto::auth::v1::{self, ClientInfo, SessionKind as KindMessage};
use tonic::Status;
use zeroize::Zeroizing;

use crate::account::Account;
use crate::accounts::OpenedSession;
use crate::session::{Client, Session, SessionId, SessionKind, SessionSecret};
use crate::status;

/// The secret in a message, if it can be one; the message's copy is wiped.
pub(super) fn secret(text: String) -> Option<SessionSecret> {
    SessionSecret::parse(&Zeroizing::new(text))
}

/// The secret of a session that the RPC cannot do without.
pub(super) fn required_secret(text: String) -> Result<SessionSecret, Status> {
    secret(text).ok_or_else(status::session_invalid)
}

/// Where the request came from; nothing of it is believed further than its form.
pub(super) fn client(message: Option<ClientInfo>) -> Client {
    let ClientInfo {
        address,
        user_agent,
    } = message.unwrap_or_default();
    Client::new(&address, &user_agent)
}

pub(super) fn user(account: &Account) -> v1::User {
    v1::User {
        subject: account.subject.as_str().to_owned(),
        email: account.email.as_typed().to_owned(),
        display_name: account.display_name.as_str().to_owned(),
    }
}

pub(super) fn session(session: &Session, asking: SessionId) -> v1::Session {
    v1::Session {
        id: session.id.to_string(),
        subject: session.subject.as_str().to_owned(),
        kind: kind(session.kind).into(),
        created_at: Some(timestamp(session.created_at)),
        authenticated_at: session.authenticated_at.map(timestamp),
        last_seen_at: Some(timestamp(session.last_seen_at)),
        expires_at: Some(timestamp(session.expires_at)),
        amr: session.amr.clone(),
        user_agent: session.client.user_agent().to_owned(),
        address: session.client.address().to_owned(),
        current: session.id == asking,
    }
}

pub(super) fn opened(opened: &OpenedSession) -> v1::NewSession {
    v1::NewSession {
        session: Some(session(&opened.session, opened.session.id)),
        session_secret: opened.secret.reveal().to_string(),
    }
}

pub(super) fn kind(kind: SessionKind) -> KindMessage {
    match kind {
        SessionKind::Guest => KindMessage::Guest,
        SessionKind::User => KindMessage::User,
    }
}

pub(super) fn ids(ids: &[SessionId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// The word for a kind in metrics.
pub(super) fn word(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Guest => "guest",
        SessionKind::User => "user",
    }
}

/// A span that tokens live, which has no fraction and fits.
pub(super) fn duration(span: std::time::Duration) -> prost_types::Duration {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: 0 }
}

/// Protobuf counts nanoseconds forward even before 1970.
pub(super) fn timestamp(instant: Timestamp) -> prost_types::Timestamp {
    let nanos = instant.as_nanosecond();
    let billion = 1_000_000_000;
    prost_types::Timestamp {
        seconds: i64::try_from(nanos.div_euclid(billion)).expect("a Timestamp's seconds fit"),
        nanos: i32::try_from(nanos.rem_euclid(billion)).expect("less than a billion"),
    }
}
