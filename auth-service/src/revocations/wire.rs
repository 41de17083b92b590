//! The feed's messages, encoded: once for all watchers, which is why this is not done in
//! `grpc`, where each call encodes its own.

use bytes::Bytes;
use jiff::Timestamp;
use prost::Message as _;
use proto::auth::v1::revocation::Target;
use proto::auth::v1::watch_response::Event;
use proto::auth::v1::{self, WatchResponse};

use super::{Batch, Opening, Revocation, RevocationTarget};

pub(super) fn opening(opening: Opening, now: Timestamp) -> Bytes {
    encode(Event::Opening(v1::Opening {
        log_id: opening.log_id.to_string(),
        after_seq: opening.after_seq,
        head_seq: opening.head_seq,
        now_us: now.as_microsecond(),
    }))
}

pub(super) fn batch(batch: &Batch) -> Bytes {
    encode(Event::Batch(v1::RevocationBatch {
        after_seq: batch.after_seq,
        through_seq: batch.through_seq,
        revocations: batch.entries.iter().map(revocation).collect(),
    }))
}

pub(super) fn heartbeat(head_seq: u64, now: Timestamp) -> Bytes {
    encode(Event::Heartbeat(v1::Heartbeat {
        head_seq,
        now_us: now.as_microsecond(),
    }))
}

pub(super) fn key_set(jwks: &Bytes) -> Bytes {
    encode(Event::KeySet(v1::KeySet {
        jwks: jwks.to_vec(),
    }))
}

fn encode(event: Event) -> Bytes {
    let event = Some(event);
    WatchResponse { event }.encode_to_vec().into()
}

fn revocation(entry: &Revocation) -> v1::Revocation {
    v1::Revocation {
        seq: entry.seq,
        target: Some(target(&entry.target)),
        revoked_at_us: entry.revoked_at.as_microsecond(),
        expires_at_s: entry.expires_at_s,
    }
}

fn target(target: &RevocationTarget) -> Target {
    match target {
        RevocationTarget::Session(id) => Target::SessionId(id.as_bytes().to_vec()),
        RevocationTarget::Subject {
            subject,
            issued_before_s,
        } => Target::Subject(v1::SubjectRevocation {
            subject: subject.as_str().to_owned(),
            issued_before_s: *issued_before_s,
        }),
        RevocationTarget::Key(kid) => Target::KeyId(kid.clone()),
    }
}
