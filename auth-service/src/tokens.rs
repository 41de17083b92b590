//! Access tokens for services: who may have one, and for whom.
//!
//! What a token says is [`crate::access_token`]'s business. An exchange costs one
//! indexed read and one signature.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use token_verifier::Clock;

use crate::access_token::{AccessToken, AccessTokenError, Bearer, Issue};
use crate::entropy::Entropy;
use crate::session::{Session, SessionSecret};
use crate::sessions::Sessions;
use crate::signing_keys::SharedSigningKeys;
use crate::store::StoreError;
use crate::workload::Workload;

/// Makes access tokens.
#[derive(Clone)]
pub struct Tokens {
    parts: Arc<TokensParts>,
}

/// What [`Tokens`] works with.
pub struct TokensParts {
    /// Where sessions are found.
    pub sessions: Sessions,
    /// What signs.
    pub keys: SharedSigningKeys,
    /// The `iss` of every token.
    pub issuer: String,
    /// The services that tokens are made for.
    pub audiences: Vec<String>,
    /// How long a token lives.
    pub ttl: Duration,
    /// Where `jti`s come from.
    pub entropy: Arc<dyn Entropy>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// A token and the session that it stands for.
#[derive(Debug)]
pub struct Exchanged {
    /// The token.
    pub token: AccessToken,
    /// On whose behalf.
    pub session: Session,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The settings name no such audience.
    #[error("no such audience")]
    AudienceUnknown,
    /// The secret opens no live session.
    #[error("no live session has this secret")]
    SessionInvalid,
    /// The secret was given up for a new one, at a sign-in or a password change.
    #[error("the session has another secret by now")]
    SessionReplaced,
    /// No key may sign at the moment: the store has not confirmed one for too long, or
    /// the active one cannot be decrypted.
    #[error("no signing key may be used at the moment")]
    NoSigner,
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The session is all but over, or our bug.
    #[error(transparent)]
    Issue(#[from] AccessTokenError),
}

impl TokenError {
    /// A stable word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::AudienceUnknown => "audience_unknown",
            Self::SessionInvalid | Self::Issue(AccessTokenError::SessionEnding) => {
                "session_invalid"
            }
            Self::SessionReplaced => "session_replaced",
            Self::NoSigner => "no_signer",
            Self::Store(_) => "store",
            Self::Issue(AccessTokenError::Claims(_)) => "internal",
        }
    }
}

impl Tokens {
    /// Puts the parts together.
    pub fn new(parts: TokensParts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    /// A token for one audience on behalf of a session.
    ///
    /// It says that it was issued before the session was looked up, so that it is never
    /// younger than a revocation which the look-up did not see.
    pub async fn exchange(
        &self,
        caller: &Workload,
        secret: Option<&SessionSecret>,
        audience: &str,
    ) -> Result<Exchanged, TokenError> {
        let audience = self.known(audience)?;
        let secret = secret.ok_or(TokenError::SessionInvalid)?;
        let now = self.parts.clock.now();
        let session = self.parts.sessions.get(secret).await?;
        let Some(session) = session else {
            return Err(self.not_live(secret).await?);
        };
        let token = self.issue(caller, Bearer::Session(&session), audience, now)?;
        Ok(Exchanged { token, session })
    }

    /// Why a secret opens nothing. Told apart for requests that were under way while
    /// their person signed in: whoever made them has a better cookie already.
    async fn not_live(&self, secret: &SessionSecret) -> Result<TokenError, StoreError> {
        Ok(if self.parts.sessions.is_replaced(secret).await? {
            TokenError::SessionReplaced
        } else {
            TokenError::SessionInvalid
        })
    }

    /// A token for one audience on behalf of nobody.
    pub fn anonymous(&self, caller: &Workload, audience: &str) -> Result<AccessToken, TokenError> {
        let audience = self.known(audience)?;
        self.issue(caller, Bearer::Anonymous, audience, self.parts.clock.now())
    }

    /// The audience as the settings spell it: exactly.
    fn known(&self, audience: &str) -> Result<&str, TokenError> {
        let known = self.parts.audiences.iter().find(|known| *known == audience);
        known.map(String::as_str).ok_or(TokenError::AudienceUnknown)
    }

    fn issue(
        &self,
        caller: &Workload,
        bearer: Bearer<'_>,
        audience: &str,
        now: Timestamp,
    ) -> Result<AccessToken, TokenError> {
        let parts = &self.parts;
        let mut random = [0; 16];
        parts.entropy.fill(&mut random);
        let issue = Issue {
            issuer: &parts.issuer,
            audience,
            client_id: caller.name(),
            ttl: parts.ttl,
            random,
            now,
        };
        let signer = parts.keys.signer().ok_or(TokenError::NoSigner)?;
        Ok(AccessToken::issue(bearer, issue, &signer)?)
    }
}
