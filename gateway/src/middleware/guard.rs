//! Who may come in to `/auth/**` and `/api/**`: one credential at most, unsafe
//! requests from our own pages only, bodies of JSON only.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderValue, header, request::Parts};
use http_body::Body as _;

use super::admission::{ClientAddress, RequestAuthority};
use crate::{
    credential::{self, Credential},
    csrf,
    error::Error,
    gateway::{Gateway, Shared},
};

/// Longest User-Agent that is kept.
const MAX_USER_AGENT: usize = 256;

/// A request that was let in: what it carries and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) credential: Credential,
    pub(crate) client: Client,
}

/// Where a request came from, for limits and the person's list of devices.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: String,
    pub(crate) user_agent: String,
}

/// The layer in front of `/auth/**`; puts the [`Caller`] into the request.
pub(crate) async fn guard(
    State(gateway): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let (mut parts, body) = request.into_parts();
    let caller = check(&gateway, &parts, !body.is_end_stream())?;
    parts.extensions.insert(caller);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// The checks, in the order in which a refusal says least.
pub(crate) fn check(gateway: &Gateway, parts: &Parts, has_body: bool) -> Result<Caller, Error> {
    let credential = credential::from_headers(&parts.headers)?;
    if !csrf::is_safe(&parts.method) {
        let authority = parts
            .extensions
            .get::<RequestAuthority>()
            .map(|one| one.0.as_str());
        let own = gateway
            .public_origins
            .iter()
            .filter(|origin| authority.is_some_and(|authority| origin.has_authority(authority)));
        csrf::check(&parts.headers, own)?;
        check_media_type(&parts.headers, has_body)?;
    }
    Ok(Caller {
        credential,
        client: client(parts),
    })
}

/// A form can be posted across sites without asking; JSON cannot.
fn check_media_type(headers: &HeaderMap, has_body: bool) -> Result<(), Error> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    match (values.next(), values.next()) {
        (None, _) if !has_body => Ok(()),
        (Some(value), None) if is_json(value) => Ok(()),
        _ => Err(Error::MediaType),
    }
}

fn is_json(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else {
        return false;
    };
    let mut parts = text.split(';').map(|part| part.trim_matches([' ', '\t']));
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json") && parts.all(is_utf8_charset)
}

fn is_utf8_charset(parameter: &str) -> bool {
    ["charset=utf-8", "charset=\"utf-8\""]
        .iter()
        .any(|good| parameter.eq_ignore_ascii_case(good))
}

fn client(parts: &Parts) -> Client {
    let address = parts.extensions.get::<ClientAddress>();
    let user_agent = parts
        .headers
        .get(header::USER_AGENT)
        .map(HeaderValue::as_bytes);
    Client {
        address: address
            .map(|address| address.0.to_string())
            .unwrap_or_default(),
        user_agent: printable(user_agent.unwrap_or_default()),
    }
}

/// It is shown on a page and in logs: printable ASCII, of bounded length.
fn printable(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(MAX_USER_AGENT)
        .map(|&byte| {
            if (b' '..=b'~').contains(&byte) {
                char::from(byte)
            } else {
                '?'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
