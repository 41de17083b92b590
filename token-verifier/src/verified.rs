//! What remains of a token once it is believed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::claims::{Actor, Claims};
use crate::revocations::RevocationKeys;
use crate::subject::Subject;

/// Proof that a caller showed a valid token, and what it says.
///
/// Only this crate's verifier makes one, so a function that asks for a
/// `&VerifiedToken` cannot be called for a stranger. Cheap to clone.
#[derive(Clone)]
pub struct VerifiedToken {
    inner: Arc<Inner>,
}

struct Inner {
    claims: Claims,
    audience: String,
    key_id: String,
    revocation_keys: RevocationKeys,
}

/// A token, and until when something may stay open on its strength.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) token: VerifiedToken,
    /// By our monotonic clock: whoever sets a clock later, ours or the issuer's, neither
    /// ends nor lengthens it.
    pub(crate) until: Duration,
}

impl VerifiedToken {
    pub(crate) fn new(claims: Claims, audience: &str, key_id: &str) -> Self {
        let revocation_keys = RevocationKeys::new(
            claims.session_id.as_deref(),
            claims.subject.as_str(),
            key_id,
            claims.issued_at,
        );
        let inner = Arc::new(Inner {
            claims,
            audience: audience.to_owned(),
            key_id: key_id.to_owned(),
            revocation_keys,
        });
        Self { inner }
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.inner.claims
    }

    /// The token that [`VerifyTokenLayer`](crate::VerifyTokenLayer) found in this
    /// request, if the request came through it.
    #[must_use]
    pub fn of<T>(request: &http::Request<T>) -> Option<&Self> {
        Self::in_extensions(request.extensions())
    }

    /// The same from the extensions alone, which is what `tonic::Request` has.
    #[must_use]
    pub fn in_extensions(extensions: &http::Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// Who calls (`sub`).
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.inner.claims.subject
    }

    /// The session that the token was made from (`sid`), if there is one.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.inner.claims.session_id.as_deref()
    }

    /// The client that asked for the token (`client_id`); `gateway` for sessions.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.inner.claims.client_id
    }

    /// The audience that was expected and found (`aud`).
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.inner.audience
    }

    /// The issuer that was expected and found (`iss`).
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.inner.claims.issuer
    }

    /// When the token was issued (`iat`).
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.inner.claims.issued_at
    }

    /// When the token ends (`exp`); it is accepted for [`LEEWAY`](crate::LEEWAY) longer.
    /// A stream that outlives it should be closed.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.inner.claims.expires_at
    }

    /// The token's own name (`jti`).
    #[must_use]
    pub fn token_id(&self) -> &str {
        &self.inner.claims.token_id
    }

    /// The name of the key that signed it (`kid`).
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.inner.key_id
    }

    /// What can revoke the token: look it up with
    /// [`Revocations::check`](crate::Revocations::check).
    #[must_use]
    pub fn revocation_keys(&self) -> &RevocationKeys {
        &self.inner.revocation_keys
    }

    /// What the token is good for (`scope`), in the issuer's order.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.inner.claims.scope.split(' ').filter(|s| !s.is_empty())
    }

    /// Whether `scope` names exactly this.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|held| held == scope)
    }

    /// When the person last proved who they are (`auth_time`).
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.inner.claims.auth_time
    }

    /// How sure the issuer is of that (`acr`).
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.inner.claims.acr.as_deref()
    }

    /// By what means they proved it (`amr`, RFC 8176).
    #[must_use]
    pub fn amr(&self) -> &[String] {
        &self.inner.claims.amr
    }

    /// The guest that the subject was before they signed in (`prior_sub`): its state
    /// is to be merged into the subject's, once.
    #[must_use]
    pub fn prior_subject(&self) -> Option<&Subject> {
        self.inner.claims.prior_subject.as_ref()
    }

    /// Who calls on the subject's behalf (`act`).
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        self.inner.claims.actor.as_ref()
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("sub", &self.subject().as_str())
            .field("jti", &self.token_id())
            .finish_non_exhaustive()
    }
}

/// The caller of an RPC, for the first line of a handler behind
/// [`VerifyTokenLayer`](crate::VerifyTokenLayer).
///
/// # Errors
///
/// `INTERNAL` if there is no verified token: then the layer is missing from the
/// server, which is our mistake and no caller's.
pub fn caller<T>(request: &tonic::Request<T>) -> Result<&VerifiedToken, tonic::Status> {
    VerifiedToken::in_extensions(request.extensions()).ok_or_else(|| {
        tracing::error!("a handler asked for its caller, but no VerifyTokenLayer guards it");
        tonic::Status::internal("internal error")
    })
}
