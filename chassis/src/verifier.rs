//! A program's token verifier, wired up: keys fetched and revocations followed in the
//! background, decisions counted by reason, readiness closed while either is missing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use token_verifier::{
    Clock, Expectations, FetchError, Keys, RemoteError, RemoteOptions, TokenVerifier, VerifyError,
};
use tokio::sync::Notify;

use crate::metrics::Metrics;
use crate::readiness::{Gate, Readiness};
use crate::revocations::{self, RevocationSettings, RevocationsError};
use crate::settings::Section;
use crate::vital::Vital;

/// Where the auth service is in development.
const DEFAULT_ISSUER: &str = "http://localhost:8081";
const JWKS_PATH: &str = "/.well-known/jwks.json";
/// How soon readiness notices that the keys became too old to trust, which happens
/// after hours without the auth service.
const RECHECK: Duration = Duration::from_secs(5);
/// Less than this would let invented tokens make us ask the issuer all the time.
const LEAST_FETCH_INTERVAL: Duration = Duration::from_secs(1);
/// Less than this would close us at the issuer's every restart.
const LEAST_MAX_STALE: Duration = Duration::from_secs(60);
/// A revoked key stays in the revocation log for 30 days. Whoever holds it for less than
/// that, saved and in memory together, cannot believe it again.
const MOST_MAX_STALE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The reason of what went well.
const ACCEPTED: &str = "ok";

/// The section `[tokens]`.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// Whose tokens are believed.
    pub issuer: String,
    /// For whom the tokens must be: this service.
    pub audience: String,
    /// Where the issuer's keys are.
    pub jwks_url: String,
    /// Where the last good keys are kept for the next start.
    pub saved_jwks: PathBuf,
    /// How it is known which of the tokens are revoked.
    pub revocations: RevocationSettings,
    remote: RemoteOptions,
}

impl TokenSettings {
    /// Settings from values.
    ///
    /// # Errors
    ///
    /// When `jwks_url` is no address that keys can come from.
    pub fn new(
        issuer: &str,
        audience: &str,
        jwks_url: &str,
        saved_jwks: PathBuf,
        revocations: RevocationSettings,
    ) -> Result<Self, RemoteError> {
        Ok(Self {
            remote: RemoteOptions::new(jwks_url)?,
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            jwks_url: jwks_url.to_owned(),
            saved_jwks,
            revocations,
        })
    }

    /// Reads `issuer`, `audience`, `jwks_url` (the issuer's well-known path, unless
    /// set), `saved_jwks` (`<audience>.jwks.json` where the program starts),
    /// `min_fetch_interval`, `max_stale` and the section `revocations`.
    pub fn read(section: &mut Section<'_>, audience_default: &str) -> Option<Self> {
        let issuer = section.value("issuer", DEFAULT_ISSUER.to_owned());
        let audience = section.value("audience", audience_default.to_owned());
        let well_known = format!("{}{JWKS_PATH}", issuer.trim_end_matches('/'));
        let jwks_url = section.value("jwks_url", well_known);
        let saved_jwks = section
            .path("saved_jwks")
            .unwrap_or_else(|| format!("{audience}.jwks.json").into());
        let revocations = section.section("revocations", |section| {
            RevocationSettings::read(section, &audience)
        });
        let min_interval = section.duration("min_fetch_interval", Duration::from_secs(15));
        let max_stale = section.duration("max_stale", Duration::from_secs(24 * 60 * 60));
        for (key, value) in [("issuer", &issuer), ("audience", &audience)] {
            if value.is_empty() {
                section.problem(key, "is empty");
            }
        }
        for (key, value, least) in [
            ("min_fetch_interval", min_interval, LEAST_FETCH_INTERVAL),
            ("max_stale", max_stale, LEAST_MAX_STALE),
        ] {
            if value < least {
                section.problem(key, format!("is less than {} s", least.as_secs()));
            }
        }
        if max_stale > MOST_MAX_STALE {
            section.problem("max_stale", "is more than 7 d");
        }
        match Self::new(&issuer, &audience, &jwks_url, saved_jwks, revocations) {
            Ok(settings) => Some(settings.with_times(min_interval, max_stale)),
            Err(error) => {
                section.problem("jwks_url", error);
                None
            }
        }
    }

    fn with_times(mut self, min_interval: Duration, max_stale: Duration) -> Self {
        self.remote = self.remote.min_interval(min_interval).max_stale(max_stale);
        self
    }
}

/// Starts fetching keys and following the revocation feed, for as long as `vital` says,
/// and gives the verifier that uses both. The gate `keys` of `readiness` is open while there are
/// keys, the gate `revocations` as [`revocations::follow`] says.
///
/// # Errors
///
/// See [`RevocationsError`].
pub fn start(
    settings: TokenSettings,
    clock: Arc<dyn Clock>,
    metrics: &Metrics,
    readiness: &Readiness,
    vital: &Vital,
) -> Result<TokenVerifier, RevocationsError> {
    let feed = settings.revocations.feed(Arc::clone(&clock))?;
    let fetched = Arc::new(Notify::new());
    let remote = settings
        .remote
        .saved_at(settings.saved_jwks)
        .clock(Arc::clone(&clock));
    let (keys, driver) = Keys::remote(count_fetches(remote, metrics, Arc::clone(&fetched)));
    let gate = readiness.gate("keys");
    let revocations = revocations::follow(
        feed,
        &settings.revocations.stale,
        Some(keys.clone()),
        Arc::clone(&clock),
        metrics,
        readiness,
        vital,
    );
    let expectations = Expectations {
        issuer: settings.issuer,
        audience: settings.audience,
    };
    let verifier =
        TokenVerifier::new(expectations, keys.clone(), clock).with_revocations(revocations);
    let stopping = readiness.clone();
    vital.spawn("the fetcher of keys", driver, move || stopping.stop());
    let stopping = readiness.clone();
    let watch = watch(keys, gate, fetched);
    vital.spawn("the watch over keys", watch, move || stopping.stop());
    Ok(count_decisions(verifier, metrics))
}

async fn watch(keys: Keys, gate: Gate, fetched: Arc<Notify>) {
    loop {
        gate.set(keys.is_ready());
        let _ = tokio::time::timeout(RECHECK, fetched.notified()).await;
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decision {
    reason: &'static str,
}

fn count_decisions(verifier: TokenVerifier, metrics: &Metrics) -> TokenVerifier {
    let decisions: Family<Decision, Counter> = Family::default();
    // All of them from the start: an alarm on a rate needs a first value.
    for reason in VerifyError::REASONS.iter().chain(&[ACCEPTED]) {
        decisions.get_or_create(&Decision { reason }).inc_by(0);
    }
    let help = "Access tokens decided about, by reason; ok when accepted";
    let decisions = metrics.register("token_verifications", help, decisions);
    verifier.on_decision(move |decision| {
        let reason = decision.err().map_or(ACCEPTED, VerifyError::reason);
        decisions.get_or_create(&Decision { reason }).inc();
    })
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Fetch {
    outcome: &'static str,
}

fn count_fetches(remote: RemoteOptions, metrics: &Metrics, fetched: Arc<Notify>) -> RemoteOptions {
    let help = "Fetches of the issuer's keys, by outcome";
    let fetches: Family<Fetch, Counter> = metrics.register("jwks_fetches", help, Family::default());
    remote.on_fetch(move |result| {
        let outcome = result.err().map_or(ACCEPTED, outcome);
        fetches.get_or_create(&Fetch { outcome }).inc();
        fetched.notify_one();
    })
}

fn outcome(error: &FetchError) -> &'static str {
    match error {
        FetchError::Timeout => "timeout",
        FetchError::Request(_) => "request_failed",
        FetchError::Body(_) => "body_broke_off",
        FetchError::Status(_) => "status",
        FetchError::ContentType => "content_type",
        FetchError::Document(_) => "document_refused",
        FetchError::Dropped => "dropped",
    }
}

#[cfg(test)]
mod tests;
