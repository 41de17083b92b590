//! Keys from a JWKS address: when to fetch, and what to do when that fails.
//!
//! One task fetches, so there is never more than one fetch under way. Its rules:
//!
//! - It fetches at start, and again before the document goes stale (`Cache-Control:
//!   max-age`, kept between 10 s and 1 h).
//! - A token that names an unknown key rings a bell. Once there are keys, fetches begin
//!   at least [`min_interval`](RemoteOptions::min_interval) apart, whatever they brought
//!   and whoever rang, so a flood of invented names costs the issuer nothing more; and
//!   since the bell stays rung, a key that is truly new is found at the interval's end.
//! - While there are no keys at all it tries harder, from a quarter of a second upwards,
//!   so that services started together find each other at once.
//! - A failure, whichever, leaves the last good set in place, up to
//!   [`max_stale`](RemoteOptions::max_stale) after it was last confirmed. Then the
//!   verifier fails closed.
//! - With [`saved_at`](RemoteOptions::saved_at), the last good set outlives the process, too.
//! - Intervals are stretched at random, so that replicas do not ask in step.

mod http_fetch;
mod saved;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, Uri};
use rand::RngExt as _;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::clock::{Clock, SystemClock};
use crate::key_set::{JwksError, KeySet};
use crate::keys::Shared;

use http_fetch::HttpFetch;
use saved::SavedKeys;

/// Bounds for `max-age`: an issuer that says 0 is not asked all the time, and one that
/// says a year does not keep a compromised key alive.
const FRESH_FOR: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(60 * 60);

/// What we assume of an issuer that says nothing.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// The first pause while there are no keys at all, and the shortest of all pauses,
/// whatever the options say: the driver never spins.
const FIRST_RETRY: Duration = Duration::from_millis(250);

/// The longest pause after failures while there are keys.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

type Hook = Arc<dyn Fn(Result<(), &FetchError>) + Send + Sync>;

/// Where keys come from, and how often.
#[derive(Clone)]
pub struct RemoteOptions {
    uri: Uri,
    min_interval: Duration,
    max_stale: Duration,
    timeout: Duration,
    on_fetch: Option<Hook>,
    saved_at: Option<PathBuf>,
    clock: Arc<dyn Clock>,
}

/// Why an address cannot be a JWKS address.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It is not an absolute URL.
    #[error("the JWKS address is not an absolute URL")]
    NotAUrl(#[source] Option<http::uri::InvalidUri>),
    /// The scheme is not `http`. TLS comes with mutual TLS between the parts.
    #[error("the JWKS address must begin with http://, {0:?} is not supported")]
    Scheme(String),
    /// It has a user name or password in it, which would end up in logs.
    #[error("the JWKS address must not contain credentials")]
    Credentials,
}

/// Why a fetch brought no keys. The last good set stays.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The issuer did not answer in full in time.
    #[error("no complete answer in time")]
    Timeout,
    /// No connection, or no HTTP on it.
    #[error("the request failed")]
    Request(#[source] hyper_util::client::legacy::Error),
    /// The answer broke off.
    #[error("the body broke off")]
    Body(#[source] hyper::Error),
    /// Neither 200 nor, when asked about a document we hold, 304. Redirects are not
    /// followed: the address in the settings is the one that is trusted.
    #[error("the issuer answered {0}")]
    Status(StatusCode),
    /// The answer does not claim to be JSON, or is encoded.
    #[error("the answer is not plain JSON by its headers")]
    ContentType,
    /// The document is not a set of keys that we accept.
    #[error("the document is refused")]
    Document(#[from] JwksError),
    /// The document has no key that the issuer's feed has not dropped meanwhile.
    #[error("the document has only keys that were dropped")]
    Dropped,
}

impl RemoteOptions {
    /// Keys from `url`, with the default times.
    ///
    /// # Errors
    ///
    /// [`RemoteError`] if `url` is no address that keys can come from.
    pub fn new(url: &str) -> Result<Self, RemoteError> {
        let uri: Uri = url.parse().map_err(|e| RemoteError::NotAUrl(Some(e)))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(RemoteError::NotAUrl(None));
        };
        if scheme != "http" {
            return Err(RemoteError::Scheme(scheme.to_owned()));
        }
        if authority.as_str().contains('@') {
            return Err(RemoteError::Credentials);
        }
        Ok(Self {
            uri,
            min_interval: Duration::from_secs(15),
            max_stale: Duration::from_secs(24 * 60 * 60),
            timeout: Duration::from_secs(5),
            on_fetch: None,
            saved_at: None,
            clock: Arc::new(SystemClock),
        })
    }

    /// The least time between the beginnings of two fetches, and so the longest that a
    /// new key can stay unknown. 15 s unless set, and never
    /// less than a quarter of a second; up to a tenth is added at random.
    #[must_use]
    pub fn min_interval(mut self, min_interval: Duration) -> Self {
        self.min_interval = min_interval;
        self
    }

    /// How long a set is used after the issuer last confirmed it. 24 h unless set: an
    /// auth service that is away for longer cannot issue tokens either.
    #[must_use]
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.max_stale = max_stale;
        self
    }

    /// How long one fetch may take in all. 5 s unless set.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Keeps the last good set in this file, for the next start when the issuer is away.
    ///
    /// What is found there counts as confirmed when it was saved. It is ignored, with a
    /// line in the log, if it is older than [`max_stale`](Self::max_stale) or from the
    /// future, comes from another address, is damaged, or could have been written by
    /// somebody else; and so is a file that cannot be written. Nothing waits for it.
    #[must_use]
    pub fn saved_at(mut self, path: PathBuf) -> Self {
        self.saved_at = Some(path);
        self
    }

    /// The clock by which a saved set's age is told. The machine's unless set.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.max_stale
    }

    /// Calls `hook` after every fetch, for metrics.
    #[must_use]
    pub fn on_fetch(
        mut self,
        hook: impl Fn(Result<(), &FetchError>) + Send + Sync + 'static,
    ) -> Self {
        self.on_fetch = Some(Arc::new(hook));
        self
    }
}

impl fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteOptions")
            .field("uri", &self.uri)
            .field("min_interval", &self.min_interval)
            .field("max_stale", &self.max_stale)
            .field("timeout", &self.timeout)
            .field("saved_at", &self.saved_at)
            .finish_non_exhaustive()
    }
}

/// Fetches the document once. Over HTTP, or a test's idea of it.
pub(crate) trait Fetch: Send + 'static {
    /// `etag` names the document that is held, if any.
    fn fetch(
        &self,
        etag: Option<&HeaderValue>,
    ) -> impl Future<Output = Result<Fetched, FetchError>> + Send;
}

/// What the issuer answered.
pub(crate) struct Fetched {
    pub(crate) max_age: Option<Duration>,
    pub(crate) content: Content,
}

pub(crate) enum Content {
    /// The document that we hold is still the current one.
    Unchanged,
    Document {
        bytes: Bytes,
        etag: Option<HeaderValue>,
    },
}

pub(crate) async fn drive(options: RemoteOptions, shared: Arc<Shared>) {
    let fetch = HttpFetch::new(options.uri.clone());
    drive_with(options, shared, fetch).await;
}

pub(crate) async fn drive_with(options: RemoteOptions, shared: Arc<Shared>, fetch: impl Fetch) {
    let saved = SavedKeys::of(&options);
    if let Some(saved) = &saved {
        saved.restore(&shared).await;
    }
    let saving = async {
        if let Some(saved) = saved {
            saved.follow(&shared).await;
        }
    };
    tokio::join!(fetch_for_ever(options, Arc::clone(&shared), fetch), saving);
}

async fn fetch_for_ever(options: RemoteOptions, shared: Arc<Shared>, fetch: impl Fetch) {
    let mut driver = Driver {
        options,
        shared,
        fetch,
        answered: None,
        failures: 0,
    };
    loop {
        let began = Instant::now();
        let outcome = driver.refresh(began).await;
        driver.report(&outcome);
        driver.pause(began, outcome.ok()).await;
    }
}

struct Driver<F> {
    options: RemoteOptions,
    shared: Arc<Shared>,
    fetch: F,
    /// The last document and its name.
    answered: Option<(KeySet, HeaderValue)>,
    /// In a row.
    failures: u32,
}

impl<F: Fetch> Driver<F> {
    /// Fetches once and installs what came. Returns how long that is fresh.
    async fn refresh(&mut self, began: Instant) -> Result<Duration, FetchError> {
        let etag = self.answered.as_ref().map(|(_, etag)| etag);
        let fetched = timeout(self.options.timeout, self.fetch.fetch(etag))
            .await
            .map_err(|_| FetchError::Timeout)??;
        match fetched.content {
            Content::Unchanged => {
                if let Some((set, _)) = &self.answered {
                    self.shared.confirm(set);
                }
            }
            Content::Document { bytes, etag } => {
                let set = KeySet::from_json(&bytes)?;
                let current = self.shared.offer(&set, bytes, began)?;
                // What was not taken must be answered in full again.
                self.answered = current.zip(etag);
            }
        }
        let max_age = fetched.max_age.unwrap_or(DEFAULT_MAX_AGE);
        Ok(max_age.clamp(*FRESH_FOR.start(), *FRESH_FOR.end()))
    }

    fn report(&mut self, outcome: &Result<Duration, FetchError>) {
        match outcome {
            Ok(_) => self.failures = 0,
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let cause = std::error::Error::source(error);
                let uri = &self.options.uri;
                tracing::warn!(jwks.uri = %uri, cause, "keys not refreshed: {error}");
            }
        }
        if let Some(hook) = &self.options.on_fetch {
            hook(outcome.as_ref().map(|_| ()));
        }
    }

    /// Waits until the next fetch is due, or wanted and allowed.
    async fn pause(&self, began: Instant, fresh_for: Option<Duration>) {
        if !self.shared.is_ready() {
            return sleep(self.retry_without_keys()).await;
        }
        let allowed_at = began + stretched(self.min_interval());
        let due_at = match fresh_for {
            // Before it goes stale, with time for another try.
            Some(fresh_for) => began + fresh_for.mul_f64(rand::rng().random_range(0.75..0.9)),
            None => began + self.retry_with_keys(),
        };
        tokio::select! {
            () = sleep_until(due_at.max(allowed_at)) => {}
            () = self.shared.unknown_kid.notified() => sleep_until(allowed_at).await,
        }
    }

    fn min_interval(&self) -> Duration {
        self.options.min_interval.max(FIRST_RETRY)
    }

    /// Doubles up to the interval at which we would ask anyway.
    fn retry_without_keys(&self) -> Duration {
        let pause = doubled(FIRST_RETRY, self.failures).min(self.min_interval());
        stretched(pause)
    }

    fn retry_with_keys(&self) -> Duration {
        let first = self.min_interval();
        stretched(doubled(first, self.failures).min(LONGEST_RETRY.max(first)))
    }
}

/// `first`, doubled for each failure after the first.
fn doubled(first: Duration, failures: u32) -> Duration {
    // Sixteen doublings of anything we start from are beyond every cap.
    first.saturating_mul(1 << failures.saturating_sub(1).min(16))
}

/// Up to a tenth longer.
fn stretched(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(1.0..1.1))
}

#[cfg(test)]
mod tests;
