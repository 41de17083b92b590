//! The one thing served over plain HTTP: the JWKS.
//!
//! Public keys are no secret, and verifiers fetch them before they can verify
//! anything, so nobody is asked who they are here.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::jwks::JwksDocument;
use crate::signing_keys::SharedSigningKeys;

/// Where verifiers look.
pub const JWKS_PATH: &str = "/.well-known/jwks.json";

/// How long a copy of the document is good. A key is published for at least twice as
/// long before it signs.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);

const NOSNIFF: (HeaderName, HeaderValue) =
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
const NO_STORE: (HeaderName, HeaderValue) = (CACHE_CONTROL, HeaderValue::from_static("no-store"));

#[derive(Clone)]
struct Published {
    keys: SharedSigningKeys,
    cache_control: HeaderValue,
}

/// The whole HTTP side.
pub fn router(keys: SharedSigningKeys, max_age: Duration) -> Router {
    let cache_control = HeaderValue::try_from(format!("public, max-age={}", max_age.as_secs()))
        .expect("digits are visible ASCII");
    Router::new()
        .route(JWKS_PATH, get(jwks))
        .method_not_allowed_fallback(|| async { refusal(StatusCode::METHOD_NOT_ALLOWED) })
        .fallback(|| async { refusal(StatusCode::NOT_FOUND) })
        .with_state(Published {
            keys,
            cache_control,
        })
}

async fn jwks(State(published): State<Published>, headers: HeaderMap) -> Response {
    let keys = published.keys.current();
    let document = keys.jwks();
    let etag = HeaderValue::try_from(document.etag()).expect("base64url is visible ASCII");
    let caching = [
        NOSNIFF,
        (CACHE_CONTROL, published.cache_control),
        (ETAG, etag),
    ];
    if is_current(&headers, document) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    // `application/json` rather than `application/jwk-set+json`: every client takes it.
    let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (caching, json, document.body().clone()).into_response()
}

fn refusal(status: StatusCode) -> Response {
    (status, [NOSNIFF, NO_STORE]).into_response()
}

/// Whether the client says it has this document (RFC 9110, 13.1.2: weak comparison).
fn is_current(headers: &HeaderMap, document: &JwksDocument) -> bool {
    let values = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    // Ours has no comma inside, so a foreign tag that has one cannot look like ours.
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == document.etag())
}

#[cfg(test)]
mod tests;
