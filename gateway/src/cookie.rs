//! The session cookie as it goes out. Always with the same attributes: a browser
//! replaces or clears a cookie only when they match.

use http::HeaderValue;

use crate::credential::{SESSION_COOKIE, SessionSecret};

const ATTRIBUTES: &str = "Secure; HttpOnly; SameSite=Lax; Path=/";

/// A `Set-Cookie` value that hands out a session.
pub(crate) fn set(secret: &SessionSecret) -> HeaderValue {
    let text = format!("{SESSION_COOKIE}={}; {ATTRIBUTES}", secret.expose());
    let mut value = HeaderValue::try_from(text).expect("base64url is fit for a header");
    value.set_sensitive(true);
    value
}

/// A `Set-Cookie` value that takes the session away.
pub(crate) fn clear() -> HeaderValue {
    HeaderValue::try_from(format!("{SESSION_COOKIE}=; {ATTRIBUTES}; Max-Age=0"))
        .expect("constants are fit for a header")
}

#[cfg(test)]
mod tests;
