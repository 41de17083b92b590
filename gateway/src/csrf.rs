//! Whether an unsafe request was made by one of our own pages.
//!
//! Pure. It does not ask whether there is a cookie: a forged *login* carries none
//! and still signs its victim in as somebody else.
//!
//! `SameSite` alone is no defence where any sibling subdomain can run a script, so
//! `same-site` is refused like `cross-site`.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::public_origin::PublicOrigin;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request may have been made by somebody else's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CsrfError {
    #[error("Sec-Fetch-Site says that another site made the request")]
    OtherSite,
    #[error("the Origin is not this one")]
    OtherOrigin,
    #[error("neither Sec-Fetch-Site nor Origin says where the request comes from")]
    NoProof,
}

/// Methods that change nothing by HTTP's own word (RFC 9110, 9.2.1).
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    )
}

/// Checks an unsafe request; `own` are the public origins that the request's Host names.
///
/// `Sec-Fetch-Site` decides where it is present: pages cannot set it, and `Origin` is
/// `null` on form posts from pages that send no referrer, as ours do not.
pub(crate) fn check<'a>(
    headers: &HeaderMap,
    mut own: impl Iterator<Item = &'a PublicOrigin>,
) -> Result<(), CsrfError> {
    match the_one(headers, &SEC_FETCH_SITE) {
        Value::One(site) if site == "same-origin" => return Ok(()),
        Value::One(_) | Value::Several => return Err(CsrfError::OtherSite),
        Value::Absent => {}
    }
    match the_one(headers, &header::ORIGIN) {
        Value::Absent => Err(CsrfError::NoProof),
        Value::Several => Err(CsrfError::OtherOrigin),
        Value::One(origin) => own
            .any(|one| origin.as_bytes() == one.to_string().as_bytes())
            .then_some(())
            .ok_or(CsrfError::OtherOrigin),
    }
}

enum Value<'a> {
    Absent,
    One(&'a HeaderValue),
    Several,
}

fn the_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Value<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Value::Absent,
        (Some(value), None) => Value::One(value),
        (Some(_), Some(_)) => Value::Several,
    }
}

#[cfg(test)]
mod tests;
