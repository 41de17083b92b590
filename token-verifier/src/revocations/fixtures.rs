//! Messages for the tests of this room.

use std::time::Duration;

use jiff::Timestamp;
use proto::auth::v1::watch_response::Event;
use proto::auth::v1::{
    Heartbeat, KeySet, Opening, Revocation, RevocationBatch, SubjectRevocation, WatchResponse,
    revocation,
};

use super::RevocationKeys;

/// The issuer's time when monotonic time is 0.
pub(crate) const START_S: i64 = 1_800_000_000;
pub(crate) const START_US: i64 = START_S * 1_000_000;
pub(crate) const LOG: &str = "log-1";
pub(crate) const TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) fn at_ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The issuer's time at a monotonic moment.
pub(crate) fn us_at(moment: Duration) -> i64 {
    START_US + i64::try_from(moment.as_micros()).unwrap()
}

fn message(event: Event) -> WatchResponse {
    WatchResponse { event: Some(event) }
}

pub(crate) fn opening(log: &str, after: u64, head: u64, sent: Duration) -> WatchResponse {
    message(Event::Opening(Opening {
        log_id: log.to_owned(),
        after_seq: after,
        head_seq: head,
        now_us: us_at(sent),
    }))
}

pub(crate) fn heartbeat(head: u64, sent: Duration) -> WatchResponse {
    message(Event::Heartbeat(Heartbeat {
        head_seq: head,
        now_us: us_at(sent),
    }))
}

pub(crate) fn batch(after: u64, through: u64, revocations: Vec<Revocation>) -> WatchResponse {
    message(Event::Batch(RevocationBatch {
        after_seq: after,
        through_seq: through,
        revocations,
    }))
}

/// A batch in which each number revokes the session of that number.
pub(crate) fn sessions(after: u64, through: u64) -> WatchResponse {
    let revocations = (after + 1..=through).map(|seq| session(seq, seq)).collect();
    batch(after, through, revocations)
}

pub(crate) fn key_set(jwks: &str) -> WatchResponse {
    message(Event::KeySet(KeySet {
        jwks: jwks.as_bytes().to_vec(),
    }))
}

pub(crate) fn session(seq: u64, number: u64) -> Revocation {
    let id = u128::from(number).to_be_bytes().to_vec();
    revoked(seq, Some(revocation::Target::SessionId(id)))
}

pub(crate) fn subject(seq: u64, subject: &str, issued_before_s: i64) -> Revocation {
    let subject = SubjectRevocation {
        subject: subject.to_owned(),
        issued_before_s,
    };
    revoked(seq, Some(revocation::Target::Subject(subject)))
}

pub(crate) fn key(seq: u64, kid: &str) -> Revocation {
    revoked(seq, Some(revocation::Target::KeyId(kid.to_owned())))
}

pub(crate) fn revoked(seq: u64, target: Option<revocation::Target>) -> Revocation {
    Revocation {
        seq,
        target,
        revoked_at_us: START_US,
        expires_at_s: START_S + 360,
    }
}

/// The id of the session that [`session`] revokes under this number.
pub(crate) fn session_id(number: u64) -> String {
    format!("00000000-0000-0000-0000-{number:012x}")
}

/// What can revoke a token of that session.
pub(crate) fn token(number: u64) -> RevocationKeys {
    let issued_at = Timestamp::from_second(START_S - 10).unwrap();
    RevocationKeys::new(Some(&session_id(number)), "usr_1", "kid-1", issued_at)
}
