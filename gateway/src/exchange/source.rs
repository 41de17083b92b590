//! Who makes tokens, as the cache sees it.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use jiff::Timestamp;

use super::{ExchangeError, SessionKind};
use crate::credential::SessionSecret;

/// The auth service; in tests something that can hang, fail and count.
pub(crate) trait TokenSource: Send + Sync + 'static {
    fn exchange(
        &self,
        secret: SessionSecret,
        audience: Arc<str>,
    ) -> BoxFuture<'_, Result<Issued, ExchangeError>>;

    fn anonymous(&self, audience: Arc<str>) -> BoxFuture<'_, Result<Issued, ExchangeError>>;
}

/// A token as it was issued.
pub(crate) struct Issued {
    pub(crate) access_token: String,
    pub(crate) expires_in: Duration,
    /// The `kid` of the key that signed it.
    pub(crate) key_id: String,
    /// Its `iat`, by the auth service's clock.
    pub(crate) issued_at: Timestamp,
    /// `None` for an anonymous token.
    pub(crate) session: Option<IssuedSession>,
}

/// On whose behalf.
pub(crate) struct IssuedSession {
    pub(crate) kind: SessionKind,
    pub(crate) id: String,
    pub(crate) subject: String,
}
