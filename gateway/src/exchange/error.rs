//! Why there is no token.

use std::sync::Arc;

use token_verifier::RevocationError;

/// Why there is no token. Cloned to everybody who shared the flight.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// The auth service says so; nothing else may.
    #[error("the session is unknown, expired or ended")]
    SessionInvalid,
    /// A sign-in or a password change gave the session another secret. Whoever asks was
    /// under way meanwhile, and its browser has a better cookie by now.
    #[error("the session has another secret by now")]
    Replaced,
    #[error("the auth service is away")]
    Away(#[source] Arc<tonic::Status>),
    #[error("the auth service did not answer in time")]
    Late,
    #[error("too many exchanges are under way")]
    Overloaded,
    /// Our own credential or settings are wrong, not the client's.
    #[error("the auth service refused this gateway")]
    Refused(#[source] Arc<tonic::Status>),
    #[error("the auth service's answer makes no sense: {0}")]
    BadAnswer(&'static str),
    /// The session changed while its token was on the way. Asking again is right.
    #[error("the session changed while its token was on the way")]
    Superseded,
    /// Whether tokens have been revoked is not known here at the moment.
    #[error("what has been revoked is not known")]
    RevocationsUnknown(#[source] RevocationError),
    #[error("the exchange came to a sudden end")]
    Crashed,
}
