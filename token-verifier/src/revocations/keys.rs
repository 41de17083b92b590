//! The names under which a token can be revoked.

use aws_lc_rs::digest;
use jiff::Timestamp;

/// What can revoke one token: its session, its subject and its signing key, ready to be
/// looked up.
///
/// A token is never named by its own text: re-signed or spelled differently, a token of a
/// revoked session is still one of that session.
///
/// ```
/// use token_verifier::RevocationKeys;
///
/// let session = "0197a3c2-5b1e-7c3d-8e5f-0a1b2c3d4e5f";
/// let issued_at = "2026-03-01T12:00:00Z".parse()?;
/// let keys = RevocationKeys::new(Some(session), "usr_1", "kid-1", issued_at);
/// assert_eq!(keys, RevocationKeys::new(Some(&session.to_uppercase()), "usr_1", "kid-1", issued_at));
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationKeys {
    pub(crate) session: Option<u128>,
    pub(crate) subject: u128,
    pub(crate) key: u128,
    pub(crate) issued_at_s: i64,
}

impl RevocationKeys {
    /// The names of a token of this session, subject and signing key that was issued
    /// at `issued_at`.
    #[must_use]
    pub fn new(
        session_id: Option<&str>,
        subject: &str,
        key_id: &str,
        issued_at: Timestamp,
    ) -> Self {
        Self {
            session: session_id.map(session_name),
            subject: subject_name(subject),
            key: key_name(key_id),
            issued_at_s: issued_at.as_second(),
        }
    }
}

/// A session's name: the UUID's own bits, as the feed sends them. An id that is no UUID is
/// hashed; the feed cannot name it, but [`note_session_ended`] can.
///
/// [`note_session_ended`]: crate::Revocations::note_session_ended
pub(crate) fn session_name(session_id: &str) -> u128 {
    uuid_bits(session_id).unwrap_or_else(|| hashed(b"session\0", session_id))
}

pub(crate) fn subject_name(subject: &str) -> u128 {
    hashed(b"subject\0", subject)
}

pub(crate) fn key_name(key_id: &str) -> u128 {
    hashed(b"key\0", key_id)
}

/// Half of SHA-256 is collision-free enough for names that the auth service alone gives:
/// whoever chooses a subject to collide with another gains a refusal.
fn hashed(domain: &[u8], text: &str) -> u128 {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(domain);
    context.update(text.as_bytes());
    let digest = context.finish();
    let half = digest.as_ref().first_chunk::<16>();
    u128::from_be_bytes(*half.expect("a SHA-256 digest has 32 bytes"))
}

/// The bits of a UUID in its usual form with four hyphens; of nothing else.
fn uuid_bits(text: &str) -> Option<u128> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    if text.len() != 36 {
        return None;
    }
    let mut bits = 0_u128;
    for (place, byte) in text.bytes().enumerate() {
        if HYPHENS.contains(&place) {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = char::from(byte).to_digit(16)?;
        bits = bits << 4 | u128::from(digit);
    }
    Some(bits)
}

#[cfg(test)]
mod tests;
