//! The one bearer token of a request (RFC 6750 §2.1).
//!
//! Two credentials are an argument waiting to happen: the next reader of the request
//! may believe the other one. So nothing is cut to its first value here.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::VerifyError;
use crate::unverified::MalformedToken;

/// gRPC's spelling of a binary header. Never ours, and some proxies join the two.
const AUTHORIZATION_BIN: &str = "authorization-bin";

pub(crate) fn token(headers: &HeaderMap) -> Result<&str, VerifyError> {
    if headers.contains_key(AUTHORIZATION_BIN) {
        return Err(VerifyError::Ambiguous);
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(VerifyError::Missing),
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Err(VerifyError::Ambiguous),
    };
    let value = value.to_str().map_err(|_| MalformedToken::Alphabet)?;
    if value.contains(',') {
        return Err(VerifyError::Ambiguous);
    }
    bearer(value)
}

/// The scheme ignores case (RFC 9110 §11.1); one or more spaces follow it.
fn bearer(value: &str) -> Result<&str, VerifyError> {
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.is_empty() && token.is_empty() {
        return Err(VerifyError::Missing);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(VerifyError::WrongScheme);
    }
    match token.trim_start_matches(' ') {
        "" => Err(VerifyError::Missing),
        token => Ok(token),
    }
}

#[cfg(test)]
mod tests;
