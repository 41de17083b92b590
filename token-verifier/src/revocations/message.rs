//! Messages of the feed, checked. Whatever is wrong with one is wrong with the feed.

use proto::auth::v1::{Opening, Revocation, RevocationBatch, revocation};

use super::keys::{key_name, subject_name};
use super::resync::Resync;

/// The end of the year 9999, in microseconds: what a timestamp can hold.
const LAST_US: i64 = 253_402_207_200_000_000;

/// A log's name is random; more than a few words of it are not a name.
const MAX_LOG_ID_BYTES: usize = 128;

/// Subjects and key ids have at most some 80 bytes.
const MAX_NAME_BYTES: usize = 1024;

/// One revocation, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Whose tokens.
    pub target: Target,
    /// When, in microseconds since 1970 by the auth service's clock.
    pub revoked_at_us: i64,
    /// From when on no token of it can be alive, in seconds since 1970.
    pub expires_at_s: u32,
}

/// Whose tokens are revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A session's, by its name.
    Session(u128),
    /// A subject's, by its name, if they were issued before a second.
    Subject {
        /// The hash of the subject.
        name: u128,
        /// In seconds since 1970.
        issued_before_s: u32,
    },
    /// Those that a key signed, by its name.
    Key(u128),
}

pub(super) fn check_opening(opening: &Opening) -> Result<(), Resync> {
    if opening.log_id.is_empty() || opening.log_id.len() > MAX_LOG_ID_BYTES {
        return Err(Resync::Malformed("the log has no name, or one too long"));
    }
    if opening.after_seq > opening.head_seq {
        return Err(Resync::Malformed("the log begins after its head"));
    }
    check_time(opening.now_us)
}

pub(super) fn check_time(now_us: i64) -> Result<(), Resync> {
    if (1..=LAST_US).contains(&now_us) {
        return Ok(());
    }
    Err(Resync::Malformed("a time that is none"))
}

/// The revocations of a batch, if all of it is well-formed.
pub(super) fn read_batch(batch: &RevocationBatch) -> Result<Vec<Revoked>, Resync> {
    if batch.after_seq > batch.through_seq {
        return Err(Resync::Malformed("a batch ends before it begins"));
    }
    let mut last = batch.after_seq;
    let mut revoked = Vec::with_capacity(batch.revocations.len());
    for revocation in &batch.revocations {
        if revocation.seq <= last || revocation.seq > batch.through_seq {
            return Err(Resync::Malformed("revocations out of order"));
        }
        last = revocation.seq;
        revoked.push(read(revocation)?);
    }
    Ok(revoked)
}

fn read(revocation: &Revocation) -> Result<Revoked, Resync> {
    check_time(revocation.revoked_at_us)?;
    let expires_at_s = seconds(revocation.expires_at_s)?;
    if i64::from(expires_at_s) < revocation.revoked_at_us / 1_000_000 {
        return Err(Resync::Malformed(
            "a revocation that was over before it began",
        ));
    }
    Ok(Revoked {
        target: read_target(revocation.target.as_ref())?,
        revoked_at_us: revocation.revoked_at_us,
        expires_at_s,
    })
}

fn read_target(target: Option<&revocation::Target>) -> Result<Target, Resync> {
    match target {
        Some(revocation::Target::SessionId(id)) => {
            let bytes: [u8; 16] = id
                .as_slice()
                .try_into()
                .map_err(|_| Resync::Malformed("a session id that is no UUID"))?;
            Ok(Target::Session(u128::from_be_bytes(bytes)))
        }
        Some(revocation::Target::Subject(subject)) => Ok(Target::Subject {
            name: subject_name(named(&subject.subject)?),
            issued_before_s: seconds(subject.issued_before_s)?,
        }),
        Some(revocation::Target::KeyId(key_id)) => Ok(Target::Key(key_name(named(key_id)?))),
        // Perhaps a kind that a newer auth service knows. To go on would be to say "not
        // revoked" without knowing.
        None => Err(Resync::Malformed("a revocation of nothing we know")),
    }
}

fn named(name: &str) -> Result<&str, Resync> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(Resync::Malformed(
            "a subject or key without a name, or with one too long",
        ));
    }
    Ok(name)
}

/// Seconds since 1970 that fit into 32 bits, which they do until 2106, and are not 0.
fn seconds(seconds: i64) -> Result<u32, Resync> {
    u32::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .ok_or(Resync::Malformed("a time that is none"))
}

#[cfg(test)]
mod tests;
