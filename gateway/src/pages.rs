//! The pages and their assets, compiled into the program.
//!
//! A page is revalidated at every visit; an asset keeps its name when it changes, so
//! it is revalidated too, and its entity tag makes that cheap.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::error::Error;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Files;

/// The page or asset at a path; a 404 that fits the client otherwise.
pub(crate) fn serve(parts: &Parts) -> Response {
    let file = file_name(parts.uri.path()).and_then(|name| Some((Files::get(&name)?, name)));
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    match file {
        Some((file, name)) if reads => respond(StatusCode::OK, &name, file, &parts.headers),
        Some(_) => {
            Error::MethodNotAllowed(Some(HeaderValue::from_static("GET, HEAD"))).into_response()
        }
        None if reads && accepts_html(&parts.headers) => not_found(),
        None => Error::NotFound.into_response(),
    }
}

/// Which route template a path belongs to, for labels.
pub(crate) fn template(path: &str) -> &'static str {
    match path {
        "/" => "/",
        "/sign-in" => "/sign-in",
        "/profile" => "/profile",
        "/devices" => "/devices",
        _ if path.starts_with("/assets/") => "/assets/*",
        _ => "none",
    }
}

fn file_name(path: &str) -> Option<String> {
    match path {
        "/" => Some("index.html".to_owned()),
        "/sign-in" | "/profile" | "/devices" => Some(format!("{}.html", &path[1..])),
        // The path is in normal form, so it cannot leave the folder; the files are a
        // list in the program anyway.
        _ => path
            .strip_prefix('/')
            .filter(|name| name.starts_with("assets/"))
            .map(str::to_owned),
    }
}

fn respond(status: StatusCode, name: &str, file: EmbeddedFile, asked: &HeaderMap) -> Response {
    let tag = entity_tag(&file);
    let unchanged = status == StatusCode::OK && matches(asked, &tag);
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let body = match file.data {
            std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
        };
        (status, Body::from(body)).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(media_type(name)),
    );
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn not_found() -> Response {
    match Files::get("404.html") {
        Some(file) => respond(StatusCode::NOT_FOUND, "404.html", file, &HeaderMap::new()),
        None => Error::NotFound.into_response(),
    }
}

fn entity_tag(file: &EmbeddedFile) -> HeaderValue {
    use std::fmt::Write as _;
    let mut tag = String::from("\"");
    for byte in &file.metadata.sha256_hash()[..16] {
        write!(tag, "{byte:02x}").expect("writing to a String cannot fail");
    }
    tag.push('"');
    HeaderValue::try_from(tag).expect("hexadecimal digits in quotes")
}

/// RFC 9110, 13.1.2: a list of tags or `*`, compared weakly.
fn matches(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|one| one == b"*" || one.strip_prefix(b"W/").unwrap_or(one) == tag.as_bytes())
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")))
}

/// By our own list: with `nosniff` a wrong type is a broken page.
fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
