//! The fetch itself: one GET over plain HTTP/1.1, bounded in every direction.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    IF_NONE_MATCH,
};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::{Content, Fetch, FetchError, Fetched};
use crate::key_set::{JwksError, MAX_JWKS_BYTES};

pub(super) struct HttpFetch {
    client: Client<HttpConnector, Empty<Bytes>>,
    uri: Uri,
}

impl HttpFetch {
    pub(super) fn new(uri: Uri) -> Self {
        // Minutes lie between fetches: a kept connection would only be found dead.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build_http();
        Self { client, uri }
    }

    fn request(&self, etag: Option<&HeaderValue>) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.uri.clone();
        let accept = HeaderValue::from_static("application/jwk-set+json, application/json");
        request.headers_mut().insert(ACCEPT, accept);
        if let Some(etag) = etag {
            request.headers_mut().insert(IF_NONE_MATCH, etag.clone());
        }
        request
    }
}

impl Fetch for HttpFetch {
    async fn fetch(&self, etag: Option<&HeaderValue>) -> Result<Fetched, FetchError> {
        let response = self.client.request(self.request(etag)).await;
        let response = response.map_err(FetchError::Request)?;
        let max_age = max_age(response.headers());
        let content = match response.status() {
            StatusCode::OK => document(response).await?,
            StatusCode::NOT_MODIFIED if etag.is_some() => Content::Unchanged,
            other => return Err(FetchError::Status(other)),
        };
        Ok(Fetched { max_age, content })
    }
}

async fn document(response: Response<Incoming>) -> Result<Content, FetchError> {
    if !is_plain_json(response.headers()) {
        return Err(FetchError::ContentType);
    }
    let etag = response.headers().get(ETAG).cloned();
    let body = Limited::new(response.into_body(), MAX_JWKS_BYTES);
    let bytes = body.collect().await.map_err(body_error)?.to_bytes();
    Ok(Content::Document { bytes, etag })
}

fn body_error(error: Box<dyn std::error::Error + Send + Sync>) -> FetchError {
    match error.downcast::<hyper::Error>() {
        Ok(error) => FetchError::Body(*error),
        Err(error) => {
            debug_assert!(error.is::<LengthLimitError>(), "Limited has two errors");
            JwksError::TooLarge.into()
        }
    }
}

/// `application/json` or `application/jwk-set+json` (RFC 7517 §8.5), parameters
/// allowed, and no `Content-Encoding`, which we did not ask for.
fn is_plain_json(headers: &HeaderMap) -> bool {
    let Some(Ok(content_type)) = headers.get(CONTENT_TYPE).map(HeaderValue::to_str) else {
        return false;
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is_json = ["application/json", "application/jwk-set+json"]
        .iter()
        .any(|json| essence.eq_ignore_ascii_case(json));
    is_json && !headers.contains_key(CONTENT_ENCODING)
}

/// The first `max-age` (RFC 9111 §5.2.2.1). Anything unreadable counts as absent.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|directive| {
            let (name, seconds) = directive.trim().split_once('=')?;
            let seconds = seconds.trim_matches('"').parse().ok()?;
            name.eq_ignore_ascii_case("max-age")
                .then(|| Duration::from_secs(seconds))
        })
}

#[cfg(test)]
mod tests;
