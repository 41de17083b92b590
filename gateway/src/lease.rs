//! How long an open stream may go on: for as long as its token is good, and its token
//! for as long as the auth service gives another one for the same session.
//!
//! From two thirds of the token's life a new one is fetched and shown to the service,
//! whose guard then lets the stream go on. A renewal that fails is tried again until the
//! token expires. All of it happens while somebody polls, so a client that is gone renews
//! nothing.

use std::{sync::Arc, time::Duration};

use rand::RngExt as _;
use token_verifier::RevocationError;

use crate::{
    error,
    exchange::{Exchange, ExchangeError, Grant},
    metrics::GatewayMetrics,
    upstream::{Upstream, UpstreamRequestHeaders},
};

/// After a renewal that failed, and as much again at random.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a stream may not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ended {
    /// Its session, its subject or its token's key was revoked, and which is not said.
    #[error("the stream's token was revoked")]
    Revoked,
    /// No other token could be had in time.
    #[error("the stream's token expired")]
    Expired,
    /// The auth service says so.
    #[error("the stream's session is over")]
    SessionOver,
    /// Whether it was revoked is not known any more, and the settings refuse then.
    #[error("what has been revoked is not known")]
    Unknown,
}

impl Ended {
    /// A stable word for logs and counters.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::SessionOver => "session_over",
            Self::Unknown => "revocations_unknown",
        }
    }
}

impl From<RevocationError> for Ended {
    fn from(error: RevocationError) -> Self {
        match error {
            RevocationError::Revoked => Self::Revoked,
            RevocationError::NoSnapshot | RevocationError::Stale => Self::Unknown,
        }
    }
}

/// A stream's right to go on.
pub(crate) struct Lease {
    pub(crate) exchange: Exchange,
    pub(crate) upstream: Arc<Upstream>,
    /// What travels with a renewal besides its token.
    pub(crate) headers: UpstreamRequestHeaders,
    pub(crate) grant: Grant,
    pub(crate) metrics: GatewayMetrics,
}

/// A renewal that brought nothing.
enum Failed {
    /// Another one will not either.
    ForGood(Ended),
    /// Another one may.
    ForNow,
}

impl Lease {
    /// Renews for as long as it is polled; comes back when the stream must end.
    pub(crate) async fn over(mut self) -> Ended {
        let ended = loop {
            let keys = *self.grant.revocation_keys();
            let mut revoked = self.exchange.revocations().subscribe(keys);
            let outcome = tokio::select! {
                biased;
                why = revoked.ended() => Err(why.into()),
                renewed = self.renewed() => renewed,
            };
            match outcome {
                Ok(grant) => self.grant = grant,
                Err(ended) => break ended,
            }
        };
        tracing::info!(
            reason = ended.reason(),
            upstream = %self.upstream.name,
            "a stream ends: {ended}"
        );
        self.metrics.stream_ended(ended.reason());
        ended
    }

    async fn renewed(&self) -> Result<Grant, Ended> {
        let renewing = async {
            tokio::time::sleep(self.until(self.grant.renew_at())).await;
            loop {
                match self.renew().await {
                    Ok(grant) => return Ok(grant),
                    Err(Failed::ForGood(ended)) => return Err(ended),
                    Err(Failed::ForNow) => tokio::time::sleep(pause()).await,
                }
            }
        };
        let life = self.until(self.grant.expires_at());
        let outcome = tokio::time::timeout(life, renewing).await;
        outcome.unwrap_or(Err(Ended::Expired))
    }

    async fn renew(&self) -> Result<Grant, Failed> {
        let next = self.exchange.next(&self.grant).await.map_err(|error| {
            tracing::debug!(%error, "no new token for an open stream");
            match error {
                ExchangeError::SessionInvalid => Failed::ForGood(Ended::SessionOver),
                // This stream was opened with a secret that opens nothing any more.
                ExchangeError::Replaced => Failed::ForGood(Ended::Revoked),
                _ => Failed::ForNow,
            }
        })?;
        match self.upstream.renew(next.token(), &self.headers).await {
            Ok(()) => {
                self.metrics.stream_renewals.inc();
                Ok(next)
            }
            Err(status) => {
                tracing::debug!(
                    code = ?status.code(),
                    upstream = %self.upstream.name,
                    "a stream's token could not be renewed"
                );
                self.metrics.stream_renewal_failures.inc();
                if error::is_refused_token(&status) {
                    self.exchange.refused(&next);
                }
                Err(Failed::ForNow)
            }
        }
    }

    fn until(&self, at: Duration) -> Duration {
        at.saturating_sub(self.exchange.clock().monotonic())
    }
}

fn pause() -> Duration {
    PAUSE + PAUSE.mul_f64(rand::rng().random_range(0.0..1.0))
}

#[cfg(test)]
mod tests;
