//! The decision: is this text a token that we should believe?

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use quick_cache::sync::Cache;

use crate::bearer;
use crate::claims::Claims;
use crate::clock::Clock;
use crate::error::VerifyError;
use crate::key_set::VerifyingKey;
use crate::keys::Keys;
use crate::open_streams::OpenStreams;
use crate::revocations::Revocations;
use crate::unverified::{MAX_TOKEN_BYTES, UnverifiedToken};
use crate::verified::{Lease, VerifiedToken};

/// How far the issuer's clock and ours may differ. Machines that keep time by NTP stay
/// within milliseconds of each other; five seconds forgive one that is catching up, and
/// lengthen a token of 60 s by less than a tenth.
pub const LEEWAY: SignedDuration = SignedDuration::from_secs(5);

/// A service sees a token a minute from each active session, so this covers ten
/// thousand people clicking at once, in some ten megabytes.
const REMEMBERED_TOKENS: usize = 10_000;

/// What a token must say to be meant for this service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectations {
    /// The issuer (`iss`), compared byte for byte.
    pub issuer: String,
    /// This service's name (`aud`), compared byte for byte.
    pub audience: String,
}

type Hook = Arc<dyn Fn(Result<&VerifiedToken, &VerifyError>) + Send + Sync>;

/// Decides about tokens, locally and without waiting for anything. Cheap to clone;
/// clones share what they remember.
///
/// ```
/// # use std::sync::Arc;
/// use token_verifier::testing::TestIssuer;
/// use token_verifier::{Expectations, Keys, ManualClock, TokenVerifier};
///
/// let issuer = TestIssuer::new("http://issuer");
/// let now = "2026-03-01T12:00:00Z".parse()?;
/// let expectations = Expectations {
///     issuer: "http://issuer".to_owned(),
///     audience: "cart-service".to_owned(),
/// };
/// let clock = Arc::new(ManualClock::at(now));
/// let verifier = TokenVerifier::new(expectations, Keys::fixed(issuer.key_set()), clock);
///
/// let token = verifier.verify(&issuer.token("cart-service", "anonymous", now))?;
/// assert_eq!(token.subject().as_str(), "anonymous");
///
/// let elsewhere = issuer.token("profile-service", "anonymous", now);
/// assert_eq!(verifier.verify(&elsewhere).unwrap_err().reason(), "wrong_audience");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TokenVerifier {
    expectations: Arc<Expectations>,
    keys: Keys,
    clock: Arc<dyn Clock>,
    remembered: Arc<Cache<Box<str>, Remembered>>,
    revocations: Option<Revocations>,
    open_streams: Arc<OpenStreams>,
    on_decision: Option<Hook>,
}

/// A token whose signature held, and the key it held under.
///
/// The text of the token is a fine key for "this very text was verified" and for nothing
/// else: an ES256 signature has a second valid spelling. Whatever is to be refused
/// later must be named by `jti`, `sid` or `sub`.
#[derive(Clone)]
struct Remembered {
    token: VerifiedToken,
    key: Arc<VerifyingKey>,
}

impl TokenVerifier {
    /// A verifier of `expectations`' tokens, signed with one of `keys`.
    #[must_use]
    pub fn new(expectations: Expectations, keys: Keys, clock: Arc<dyn Clock>) -> Self {
        Self {
            expectations: Arc::new(expectations),
            keys,
            clock,
            remembered: Arc::new(Cache::new(REMEMBERED_TOKENS)),
            revocations: None,
            open_streams: Arc::default(),
            on_decision: None,
        }
    }

    /// Refuses what is revoked, at every use of a token, and everything while that is not
    /// known. Times are judged by the auth service's clock then, as the feed tells it.
    /// Without this a revoked session's tokens are accepted until they expire.
    #[must_use]
    pub fn with_revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// What this verifier knows to be revoked, if it was told to ask.
    #[must_use]
    pub fn revocations(&self) -> Option<&Revocations> {
        self.revocations.as_ref()
    }

    /// Calls `hook` with every decision, for metrics. It runs within the request, so
    /// it should count and return.
    #[must_use]
    pub fn on_decision(
        mut self,
        hook: impl Fn(Result<&VerifiedToken, &VerifyError>) + Send + Sync + 'static,
    ) -> Self {
        self.on_decision = Some(Arc::new(hook));
        self
    }

    /// Whether there are keys to verify with, and it is known what is revoked. While not,
    /// every token is refused.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let knows_revocations = self.revocations.as_ref().is_none_or(Revocations::is_ready);
        self.keys.is_ready() && knows_revocations
    }

    /// Decides about a token.
    ///
    /// # Errors
    ///
    /// [`VerifyError`], for the first thing that is wrong with it. Claims are not
    /// looked at before the signature holds.
    pub fn verify(&self, token: &str) -> Result<VerifiedToken, VerifyError> {
        let decision = self.decide(token);
        self.take_note(&decision);
        decision
    }

    /// Decides about the bearer token in `headers`, of which there must be exactly one.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify), and when there is no token or more than one.
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<VerifiedToken, VerifyError> {
        let decision = bearer::token(headers).and_then(|token| self.decide(token));
        self.take_note(&decision);
        decision
    }

    /// The streams that a newer token of their session keeps open.
    pub(crate) fn open_streams(&self) -> &OpenStreams {
        &self.open_streams
    }

    /// What a token that was just found good may keep open: it is still accepted for as
    /// long as the issuer's time says now.
    pub(crate) fn lease(&self, token: VerifiedToken) -> Lease {
        let remaining = token.expires_at().duration_since(self.now()) + LEEWAY;
        let remaining = Duration::try_from(remaining).unwrap_or_default();
        Lease {
            token,
            until: self.clock.monotonic().saturating_add(remaining),
        }
    }

    /// Whether what a token opened may stay open.
    pub(crate) fn recheck(&self, lease: &Lease) -> Result<(), VerifyError> {
        if self.remaining(lease).is_zero() {
            return Err(VerifyError::Expired);
        }
        self.check_revocations(&lease.token)
    }

    /// For how long it may, as far as time goes.
    pub(crate) fn remaining(&self, lease: &Lease) -> Duration {
        lease.until.saturating_sub(self.clock.monotonic())
    }

    /// The issuer's time, which claims are written by, once it is known; ours until then.
    fn now(&self) -> Timestamp {
        let issuer_now = self.revocations.as_ref().and_then(Revocations::issuer_now);
        issuer_now.unwrap_or_else(|| self.clock.now())
    }

    fn decide(&self, token: &str) -> Result<VerifiedToken, VerifyError> {
        if token.is_empty() {
            return Err(VerifyError::Missing);
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(VerifyError::TooLarge);
        }
        let now = self.now();
        if let Some(verified) = self.recall(token)? {
            let still_good = self.check_now(&verified, now);
            return still_good
                .map(|()| verified)
                .inspect_err(|error| self.forget_unless_ours(token, error));
        }
        let Remembered {
            token: verified,
            key,
        } = self.examine(token)?;
        self.check_now(&verified, now)?;
        self.remember(token, &verified, key);
        Ok(verified)
    }

    /// What is true of a token for good: who signed it, what it says, whom it is for.
    fn examine(&self, token: &str) -> Result<Remembered, VerifyError> {
        let unverified = UnverifiedToken::parse(token)?;
        let key = self.keys.find(&unverified.header.unverified_kid)?;
        key.verify(
            unverified.header.unverified_algorithm,
            unverified.signing_input,
            &unverified.signature,
        )?;
        let claims = Claims::read(&unverified.unverified_payload)?;
        self.check_expectations(&claims)?;
        let token = VerifiedToken::new(claims, &self.expectations.audience, &key.kid);
        Ok(Remembered { token, key })
    }

    /// Whom tokens must be for.
    pub(crate) fn audience(&self) -> &str {
        &self.expectations.audience
    }

    fn check_expectations(&self, claims: &Claims) -> Result<(), VerifyError> {
        if claims.issuer != self.expectations.issuer {
            return Err(VerifyError::WrongIssuer);
        }
        // One audience and no other: a token that is good in two places can be taken
        // from one to the other by whoever receives it.
        if claims.audiences != [self.expectations.audience.as_str()] {
            return Err(VerifyError::WrongAudience);
        }
        Ok(())
    }

    /// What can become false of a token that was good a moment ago. Asked at every
    /// use, remembered or not.
    fn check_now(&self, token: &VerifiedToken, now: Timestamp) -> Result<(), VerifyError> {
        check_times(token.claims(), now)?;
        self.check_revocations(token)
    }

    fn check_revocations(&self, token: &VerifiedToken) -> Result<(), VerifyError> {
        match &self.revocations {
            Some(revocations) => Ok(revocations.check(token.revocation_keys())?),
            None => Ok(()),
        }
    }

    /// A token that was verified before, if its key is still the issuer's.
    fn recall(&self, token: &str) -> Result<Option<VerifiedToken>, VerifyError> {
        let Some(remembered) = self.remembered.get(token) else {
            return Ok(None);
        };
        let key = self.keys.find(&remembered.key.kid).inspect_err(|error| {
            if matches!(error, VerifyError::UnknownKid) {
                self.forget(token);
            }
        })?;
        if !key.is_same(&remembered.key) {
            self.forget(token);
            return Ok(None);
        }
        Ok(Some(remembered.token))
    }

    fn remember(&self, text: &str, token: &VerifiedToken, key: Arc<VerifyingKey>) {
        let token = token.clone();
        self.remembered
            .insert(text.into(), Remembered { token, key });
    }

    /// A token that could not be judged is as good as before once it can.
    fn forget_unless_ours(&self, token: &str, error: &VerifyError) {
        if !error.is_our_fault() {
            self.forget(token);
        }
    }

    fn forget(&self, token: &str) {
        self.remembered.remove(token);
    }

    fn take_note(&self, decision: &Result<VerifiedToken, VerifyError>) {
        match decision {
            Ok(token) => self.open_streams.renew(token, || self.lease(token.clone())),
            Err(error) => {
                let cause = std::error::Error::source(error);
                tracing::debug!(reason = error.reason(), cause, "token refused: {error}");
            }
        }
        if let Some(hook) = &self.on_decision {
            hook(decision.as_ref());
        }
    }
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenVerifier")
            .field("expectations", &self.expectations)
            .field("keys", &self.keys)
            .field("revocations", &self.revocations)
            .finish_non_exhaustive()
    }
}

/// RFC 7519 §4.1.4: "on or after" `exp` is too late, and a life that ends before it
/// begins was over from the start. A token from the future, by `nbf` or `iat`, is refused
/// too: its issuer's clock is not ours, and then `exp` says nothing.
fn check_times(claims: &Claims, now: Timestamp) -> Result<(), VerifyError> {
    let has_passed = now.duration_since(claims.expires_at) >= LEEWAY;
    if has_passed || claims.expires_at <= claims.issued_at {
        return Err(VerifyError::Expired);
    }
    let begins_at = claims
        .not_before
        .unwrap_or(claims.issued_at)
        .max(claims.issued_at);
    if begins_at.duration_since(now) > LEEWAY {
        return Err(VerifyError::NotYetValid);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
