//! What a request must look like before its route matters, and what is left of its
//! headers afterwards.

use std::net::{IpAddr, Ipv4Addr};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use chassis::http::PeerAddress;
use http::{HeaderMap, HeaderName, Method, Uri, Version, header};
use http_body::Body as _;

use crate::{
    client_address::client_address,
    error::Error,
    gateway::{Gateway, Shared},
    path,
};

/// The authority that the request names, in the client's spelling.
#[derive(Clone, Debug)]
pub(crate) struct RequestAuthority(pub(crate) String);

/// Where the request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// The only headers that anything behind this layer can see. Everything else a client
/// may say about itself, its proxies or its identity ends here.
const ALLOWED: [HeaderName; 9] = [
    header::COOKIE,
    header::AUTHORIZATION,
    header::ORIGIN,
    HeaderName::from_static("sec-fetch-site"),
    header::CONTENT_TYPE,
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::USER_AGENT,
    header::IF_NONE_MATCH,
];

/// Refuses odd requests and drops every header that is not allowed.
pub(crate) async fn admit(
    State(gateway): State<Shared>,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    check_target(&request)?;
    let authority = authority(request.version(), request.uri(), request.headers())?;
    if !gateway
        .public_origins
        .iter()
        .any(|origin| origin.has_authority(&authority))
    {
        return Err(Error::HostUnknown);
    }
    check_body(&request)?;
    let address = client_of(&gateway, &request);
    request.extensions_mut().insert(RequestAuthority(authority));
    request.extensions_mut().insert(ClientAddress(address));
    *request.headers_mut() = allowed(request.headers());
    Ok(next.run(request).await)
}

fn check_target(request: &Request) -> Result<(), Error> {
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > path::MAX_TARGET_LENGTH) {
        return Err(Error::TargetTooLong);
    }
    Ok(path::check(request.uri().path())?)
}

/// The one host that the request is for. HTTP/1.1 has it in exactly one Host header (an
/// absolute-form target is for proxies, and this is none), HTTP/2 in `:authority`,
/// which a Host header beside it must repeat.
fn authority(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<String, Error> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() || (version < Version::HTTP_2 && uri.authority().is_some()) {
        return Err(Error::HostMalformed);
    }
    let host = host
        .map(|host| host.to_str().map_err(|_| Error::HostMalformed))
        .transpose()?;
    match (uri.authority().map(http::uri::Authority::as_str), host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            Err(Error::HostMalformed)
        }
        (Some(authority), _) => Ok(authority.to_owned()),
        (None, Some(host)) if !host.is_empty() => Ok(host.to_owned()),
        (None, _) => Err(Error::HostMalformed),
    }
}

fn check_body(request: &Request) -> Result<(), Error> {
    // Nothing here inflates anything, so that a small body cannot become a large one.
    let identity = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !request
        .headers()
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(identity)
    {
        return Err(Error::ContentEncoding);
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if reads && !request.body().is_end_stream() {
        return Err(Error::BodyNotAllowed);
    }
    Ok(())
}

/// Where a request comes from, trusted proxies looked through.
pub(super) fn client_of(gateway: &Gateway, request: &Request) -> IpAddr {
    let peer = request
        .extensions()
        .get::<PeerAddress>()
        .map(|peer| peer.0.ip());
    // The server always says who its peer is; if it ever does not, nobody is trusted.
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    peer.map_or(unknown, |peer| {
        client_address(peer, request.headers(), &gateway.trusted_proxies)
    })
}

fn allowed(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(ALLOWED.len());
    for name in &ALLOWED {
        for value in headers.get_all(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests;
