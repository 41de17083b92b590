//! What a request holds: a token and where it came from.

use std::{fmt, sync::Arc, time::Duration};

use http::HeaderValue;
use token_verifier::RevocationKeys;

use super::{Key, SessionKind, cache::Entry};
use crate::credential::SessionSecret;

/// An access token for one audience, ready to be sent to that service.
///
/// It is never shown to a client: `Debug` prints nothing of it.
#[derive(Clone)]
pub(crate) struct UpstreamToken {
    header: HeaderValue,
}

impl UpstreamToken {
    pub(super) fn new(access_token: &str) -> Option<Self> {
        let mut header = HeaderValue::try_from(format!("Bearer {access_token}")).ok()?;
        header.set_sensitive(true);
        Some(Self { header })
    }

    /// The `authorization` value, marked sensitive.
    pub(crate) fn header_value(&self) -> &HeaderValue {
        &self.header
    }

    #[cfg(test)]
    pub(crate) fn for_tests(token: &str) -> Self {
        Self::new(token).expect("tests use tokens that fit a header")
    }
}

impl fmt::Debug for UpstreamToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamToken(..)")
    }
}

/// A token that may be used, and what it takes to get the next one.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(super) key: Key,
    pub(super) secret: Option<SessionSecret>,
    pub(super) entry: Arc<Entry>,
}

impl Grant {
    pub(crate) fn token(&self) -> &UpstreamToken {
        self.entry.token()
    }

    /// What the session is for; `None` if there is no session.
    pub(crate) fn kind(&self) -> Option<SessionKind> {
        self.entry.kind()
    }

    /// What can revoke the token.
    pub(crate) fn revocation_keys(&self) -> &RevocationKeys {
        self.entry.revocation_keys()
    }

    /// When whoever goes on using the token should have another, by the monotonic clock.
    pub(crate) fn renew_at(&self) -> Duration {
        self.entry.renew_at()
    }

    /// When the token is over, by the monotonic clock.
    pub(crate) fn expires_at(&self) -> Duration {
        self.entry.expires_at()
    }
}
