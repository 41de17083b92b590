//! The internal access token (RFC 9068): which claims it carries and how long it lives.
//!
//! Pure: identity, key, randomness and time come in, a signed string goes out.
//! Whether somebody may have a token is decided before (`grpc/exchange_session.rs`).

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error;
use token_verifier::Subject;

use crate::session::Session;
use crate::signing_keys::SigningKey;

/// A token that is stolen inside, or whose session ended while a verifier was
/// cut off, is good for a minute.
pub const DEFAULT_TTL: Duration = Duration::from_secs(60);
/// The bound that the design promises for a revoked session in the worst case.
pub const MAX_TTL: Duration = Duration::from_secs(300);

/// What a session's token may do: whatever its subject may at that one audience.
/// Narrower scopes are for callers that are not the person's own browser.
pub const SESSION_SCOPE: &str = "session";
/// What a token of `anonymous` may do: see what everybody may see.
pub const ANONYMOUS_SCOPE: &str = "anonymous";

/// On whose behalf a token is issued.
#[derive(Clone, Copy, Debug)]
pub enum Bearer<'a> {
    /// A session's subject.
    Session(&'a Session),
    /// Nobody yet.
    Anonymous,
}

/// For whom and by whom a token is issued.
#[derive(Clone, Copy, Debug)]
pub struct Issue<'a> {
    /// The auth service's own name.
    pub issuer: &'a str,
    /// The one service that may accept the token.
    pub audience: &'a str,
    /// The workload that asked for it.
    pub client_id: &'a str,
    /// How long it lives if its session does.
    pub ttl: Duration,
    /// Makes its `jti`.
    pub random: [u8; 16],
    /// When.
    pub now: Timestamp,
}

/// A signed token. Nothing prints it.
pub struct AccessToken {
    token: String,
    expires_in: Duration,
    key_id: String,
    issued_at: Timestamp,
}

/// Why there is no token.
#[derive(Debug, Error)]
pub enum AccessTokenError {
    /// Less than a second is left of the session, which is less than a token can say.
    #[error("the session ends within the second")]
    SessionEnding,
    /// Our bug.
    #[error("the claims cannot be serialised")]
    Claims(#[source] serde_json::Error),
}

impl AccessToken {
    /// Issues a token.
    pub fn issue(
        bearer: Bearer<'_>,
        issue: Issue<'_>,
        key: &SigningKey,
    ) -> Result<Self, AccessTokenError> {
        let claims = Claims::new(bearer, issue)?;
        let token = key.sign(&claims).map_err(AccessTokenError::Claims)?;
        Ok(Self {
            token,
            expires_in: Duration::from_secs(claims.exp.abs_diff(claims.iat)),
            key_id: key.kid().to_owned(),
            issued_at: Timestamp::from_second(claims.iat).expect("it was a timestamp's second"),
        })
    }

    /// The token itself.
    pub fn into_string(self) -> String {
        self.token
    }

    /// The `kid` of the key that signed it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Its `iat`.
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// From its issue to its expiry.
    pub fn expires_in(&self) -> Duration {
        self.expires_in
    }
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessToken")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// RFC 9068 (2.2) and the design's own `prior_sub`. `act` comes with exchanges
/// on behalf of a service.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    client_id: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'static str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    amr: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    prior_sub: Option<&'a str>,
}

impl<'a> Claims<'a> {
    fn new(bearer: Bearer<'a>, issue: Issue<'a>) -> Result<Self, AccessTokenError> {
        let iat = issue.now.as_second();
        let ttl = i64::try_from(issue.ttl.min(MAX_TTL).as_secs()).expect("at most 300");
        let claims = Self {
            iss: issue.issuer,
            aud: issue.audience,
            sub: "anonymous",
            sid: None,
            client_id: issue.client_id,
            iat,
            exp: iat + ttl,
            jti: uuid::Builder::from_random_bytes(issue.random)
                .into_uuid()
                .to_string(),
            scope: ANONYMOUS_SCOPE,
            auth_time: None,
            acr: None,
            amr: &[],
            prior_sub: None,
        };
        match bearer {
            Bearer::Anonymous => Ok(claims),
            Bearer::Session(session) => claims.on_behalf_of(session),
        }
    }

    fn on_behalf_of(self, session: &'a Session) -> Result<Self, AccessTokenError> {
        // Rounded down, so that `exp` is never behind the session's end.
        let exp = self.exp.min(session.absolute_expires_at.as_second());
        if exp <= self.iat {
            return Err(AccessTokenError::SessionEnding);
        }
        Ok(Self {
            sub: session.subject.as_str(),
            sid: Some(session.id.to_string()),
            exp,
            scope: SESSION_SCOPE,
            auth_time: session.authenticated_at.map(Timestamp::as_second),
            acr: assurance(&session.amr),
            amr: &session.amr,
            prior_sub: session.prior_subject.as_ref().map(Subject::as_str),
            ..self
        })
    }
}

/// The authentication context class: NIST SP 800-63B's level of a password. A
/// guest was not authenticated and gets none.
fn assurance(amr: &[String]) -> Option<&'static str> {
    (!amr.is_empty()).then_some("aal1")
}

#[cfg(test)]
mod tests;
