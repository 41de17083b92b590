//! The compact form, taken apart but not believed.
//!
//! Everything here is the sender's word. The header serves to find the key and to
//! refuse early; no claim is read before the signature holds.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::VerifyError;
use crate::algorithm::Algorithm;
use crate::json::{self, Json, JsonError, Members};

/// Ours are some 600 bytes. The bound is what HTTP servers commonly allow a header.
pub(crate) const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// `{"typ":"at+jwt","alg":"EdDSA","kid":"<43 characters>"}` is under 120 bytes encoded.
const MAX_HEADER_BYTES: usize = 1024;

/// An RFC 7638 thumbprint has 43 characters; other issuers like UUIDs or dates.
pub(crate) const MAX_KID_BYTES: usize = 128;

/// Members that bring or fetch a key (RFC 8725 §3.10), or say that the payload is
/// compressed, encrypted, nested (§2.12) or not base64url (RFC 7797). None has a
/// place in an access token, and to ignore one would be to trust it a little.
const FORBIDDEN: [&str; 8] = ["jku", "jwk", "x5u", "x5c", "zip", "cty", "enc", "b64"];

/// Why a text is not a JWS in compact form.
#[derive(Debug, thiserror::Error)]
pub enum MalformedToken {
    /// A character outside `[A-Za-z0-9_-]` and the dots.
    #[error("a character that is neither base64url nor a dot")]
    Alphabet,
    /// Not exactly three parts: a JWE, a JSON serialisation, or nothing of the kind.
    #[error("not three parts separated by dots")]
    Parts,
    /// A part whose length or last bits no encoder produces.
    #[error("a part that is not canonical base64url")]
    Base64(#[source] base64::DecodeError),
    /// The header is not a JSON object with unique names.
    #[error("the header is not a strict JSON object")]
    Header(#[source] JsonError),
    /// A header member is of the wrong JSON type, or too long.
    #[error("the header member {0} is not a string of reasonable length")]
    HeaderMember(&'static str),
}

/// A token in its three parts.
pub(crate) struct UnverifiedToken<'t> {
    pub(crate) header: UnverifiedHeader,
    /// What the signature is over: the first two parts as they were sent.
    pub(crate) signing_input: &'t [u8],
    pub(crate) unverified_payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

/// The header of an access token that names a key and an algorithm.
pub(crate) struct UnverifiedHeader {
    pub(crate) unverified_kid: String,
    pub(crate) unverified_algorithm: Algorithm,
}

impl<'t> UnverifiedToken<'t> {
    pub(crate) fn parse(token: &'t str) -> Result<Self, VerifyError> {
        let (header, payload, signature) = split(token)?;
        let signing_input = &token.as_bytes()[..header.len() + 1 + payload.len()];
        let header = decode(header)?;
        let unverified_payload = decode(payload)?;
        let signature = decode(signature)?;
        let members = json::object(&header).map_err(MalformedToken::Header)?;
        Ok(Self {
            header: UnverifiedHeader::read(members)?,
            signing_input,
            unverified_payload,
            signature,
        })
    }
}

impl UnverifiedHeader {
    fn read(mut members: Members) -> Result<Self, VerifyError> {
        if members.contains_key("crit") {
            return Err(VerifyError::CriticalHeader);
        }
        if let Some(name) = FORBIDDEN.iter().find(|name| members.contains_key(**name)) {
            return Err(VerifyError::ForbiddenHeader(name));
        }
        let typ = string(&mut members, "typ")?;
        if !typ.is_some_and(|typ| is_access_token_type(&typ)) {
            return Err(VerifyError::WrongType);
        }
        let algorithm = string(&mut members, "alg")?;
        let unverified_algorithm = algorithm
            .and_then(|name| Algorithm::from_name(&name))
            .ok_or(VerifyError::WrongAlgorithm)?;
        let unverified_kid = string(&mut members, "kid")?.ok_or(VerifyError::MissingKid)?;
        if unverified_kid.len() > MAX_KID_BYTES {
            return Err(MalformedToken::HeaderMember("kid").into());
        }
        Ok(Self {
            unverified_kid,
            unverified_algorithm,
        })
    }
}

/// Three parts, the first two of them not empty. An empty signature is left to the
/// signature check, so that `alg: none` is refused for its name.
fn split(token: &str) -> Result<(&str, &str, &str), VerifyError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(VerifyError::TooLarge);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !token.bytes().all(allowed) {
        return Err(MalformedToken::Alphabet.into());
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(MalformedToken::Parts.into());
    };
    if header.len() > MAX_HEADER_BYTES {
        return Err(VerifyError::TooLarge);
    }
    Ok((header, payload, signature))
}

/// Base64url without padding, and only as an encoder writes it: non-zero trailing bits
/// would give one token many spellings.
pub(crate) fn decode(part: &str) -> Result<Vec<u8>, MalformedToken> {
    URL_SAFE_NO_PAD.decode(part).map_err(MalformedToken::Base64)
}

fn string(members: &mut Members, name: &'static str) -> Result<Option<String>, MalformedToken> {
    match members.remove(name) {
        None => Ok(None),
        Some(Json::String(value)) => Ok(Some(value)),
        Some(_) => Err(MalformedToken::HeaderMember(name)),
    }
}

/// RFC 9068 §4: `at+jwt` or `application/at+jwt`. Media types ignore case
/// (RFC 7515 §4.1.9); a bare `JWT` says nothing about the kind and is refused.
fn is_access_token_type(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}
