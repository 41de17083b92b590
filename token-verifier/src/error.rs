//! Why a token is refused: one variant for each way to be wrong, and the stable word
//! under which logs and metrics know it.

use crate::claims::ClaimsError;
use crate::revocations::RevocationError;
use crate::unverified::MalformedToken;

/// Why there is no [`VerifiedToken`](crate::VerifiedToken).
///
/// The variants are for logs, metrics and tests. Strangers learn only
/// [`public_reason`](Self::public_reason): a forger who is told which check failed
/// is told what to try next.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no `authorization` header, or no token in it.
    #[error("no bearer token")]
    Missing,
    /// There are several tokens, or room for doubt which of them counts.
    #[error("more than one credential")]
    Ambiguous,
    /// The `authorization` header speaks another scheme than Bearer.
    #[error("the authorization scheme is not Bearer")]
    WrongScheme,
    /// The token or its header is longer than a token of ours can be.
    #[error("the token is too large")]
    TooLarge,
    /// The text is not a JWS in compact form.
    #[error("not a compact JWS")]
    Malformed(#[from] MalformedToken),
    /// The header has a `crit` member. We implement no extension.
    #[error("the header marks an extension as critical")]
    CriticalHeader,
    /// The header brings its own key, points at one, or says that the payload is
    /// something other than plain claims.
    #[error("the header member {0} has no place in an access token")]
    ForbiddenHeader(&'static str),
    /// `typ` is not `at+jwt`: a token of another kind, or of no declared kind.
    #[error("typ is not at+jwt")]
    WrongType,
    /// `alg` is none we accept, or not the algorithm of the key it names.
    #[error("the algorithm is not the key's")]
    WrongAlgorithm,
    /// The header names no key.
    #[error("the header has no kid")]
    MissingKid,
    /// The issuer publishes no key of this name (any more).
    #[error("no current key has this kid")]
    UnknownKid,
    /// The signature is not the named key's over this token.
    #[error("the signature does not match")]
    BadSignature,
    /// The signer was right but the claims are not those of an access token.
    #[error("the claims are not those of an access token")]
    ClaimsInvalid(#[from] ClaimsError),
    /// `iss` is another issuer.
    #[error("another issuer's token")]
    WrongIssuer,
    /// `aud` is not this service, or not this service alone.
    #[error("a token for another audience")]
    WrongAudience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// There are no keys to verify with, or only keys too old to trust. Our fault,
    /// not the caller's.
    #[error("no keys to verify with")]
    KeysUnavailable,
    /// The token's session, its subject's tokens, or its key was revoked.
    #[error("the token is revoked")]
    Revoked,
    /// It is not known what is revoked, or not well enough. Our fault, not the caller's.
    #[error("what is revoked is not known")]
    RevocationsUnavailable,
}

impl VerifyError {
    /// Every word that [`reason`](Self::reason) can give, for metrics that want their
    /// labels before the first refusal.
    pub const REASONS: &'static [&'static str] = &[
        "missing",
        "ambiguous",
        "wrong_scheme",
        "too_large",
        "malformed",
        "critical_header",
        "forbidden_header",
        "wrong_type",
        "wrong_algorithm",
        "missing_kid",
        "unknown_kid",
        "bad_signature",
        "claims_invalid",
        "wrong_issuer",
        "wrong_audience",
        "expired",
        "not_yet_valid",
        "keys_unavailable",
        "revoked",
        "revocations_unavailable",
    ];

    /// The stable word for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ambiguous => "ambiguous",
            Self::WrongScheme => "wrong_scheme",
            Self::TooLarge => "too_large",
            Self::Malformed(_) => "malformed",
            Self::CriticalHeader => "critical_header",
            Self::ForbiddenHeader(_) => "forbidden_header",
            Self::WrongType => "wrong_type",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::MissingKid => "missing_kid",
            Self::UnknownKid => "unknown_kid",
            Self::BadSignature => "bad_signature",
            Self::ClaimsInvalid(_) => "claims_invalid",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::KeysUnavailable => "keys_unavailable",
            Self::Revoked => "revoked",
            Self::RevocationsUnavailable => "revocations_unavailable",
        }
    }

    /// Whether the question could not be answered, which says nothing about the caller.
    pub(crate) fn is_our_fault(&self) -> bool {
        matches!(self, Self::KeysUnavailable | Self::RevocationsUnavailable)
    }

    /// What a stranger may know: `TOKEN_MISSING`, `TOKEN_INVALID`, `KEYS_UNAVAILABLE` or
    /// `REVOCATIONS_UNAVAILABLE`.
    #[must_use]
    pub fn public_reason(&self) -> &'static str {
        match self {
            Self::Missing => "TOKEN_MISSING",
            Self::KeysUnavailable => "KEYS_UNAVAILABLE",
            Self::RevocationsUnavailable => "REVOCATIONS_UNAVAILABLE",
            Self::Ambiguous
            | Self::WrongScheme
            | Self::TooLarge
            | Self::Malformed(_)
            | Self::CriticalHeader
            | Self::ForbiddenHeader(_)
            | Self::WrongType
            | Self::WrongAlgorithm
            | Self::MissingKid
            | Self::UnknownKid
            | Self::BadSignature
            | Self::ClaimsInvalid(_)
            | Self::WrongIssuer
            | Self::WrongAudience
            | Self::Expired
            | Self::NotYetValid
            | Self::Revoked => "TOKEN_INVALID",
        }
    }
}

impl From<RevocationError> for VerifyError {
    fn from(error: RevocationError) -> Self {
        match error {
            RevocationError::Revoked => Self::Revoked,
            RevocationError::NoSnapshot | RevocationError::Stale => Self::RevocationsUnavailable,
        }
    }
}
