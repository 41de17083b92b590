use axum::body::{Body, to_bytes};
use http::Request;
use jiff::Timestamp;
use tower::ServiceExt;

use super::*;
use crate::entropy::OsEntropy;
use crate::key_encryption::KeyEncryptionKey;
use crate::signing_keys::{SigningKey, SigningKeys};
use crate::store::SigningKeyState;

fn served() -> (Router, SharedSigningKeys) {
    let kek: crate::key_encryption::KeyRing = KeyEncryptionKey::generate(&OsEntropy).into();
    let now = Timestamp::UNIX_EPOCH;
    let (_, record) = SigningKey::generate(&kek, SigningKeyState::Active, now).unwrap();
    let keys = SharedSigningKeys::new(SigningKeys::from_records(&[record], &kek).unwrap());
    (router(keys.clone(), DEFAULT_MAX_AGE), keys)
}

async fn send(router: Router, method: &str, path: &str, tag: Option<&str>) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(tag) = tag {
        request = request.header(IF_NONE_MATCH, tag);
    }
    router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn sends_the_document_with_its_caching_rules() {
    let (router, keys) = served();
    let response = send(router, "GET", JWKS_PATH, None).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=300");
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(response.headers()[ETAG], keys.current().jwks().etag());
    let body = to_bytes(response.into_body(), 4096).await.unwrap();
    assert_eq!(body, keys.current().jwks().body());
}

#[tokio::test]
async fn head_has_the_headers_and_no_body() {
    let (router, keys) = served();
    let response = send(router, "HEAD", JWKS_PATH, None).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[ETAG], keys.current().jwks().etag());
    assert!(
        to_bytes(response.into_body(), 4096)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn says_not_modified_to_who_has_it() {
    let (router, keys) = served();
    let etag = keys.current().jwks().etag().to_owned();
    for tag in [
        &etag,
        &format!("W/{etag}"),
        &format!("\"other\" , {etag}"),
        "*",
    ] {
        let response = send(router.clone(), "GET", JWKS_PATH, Some(tag)).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{tag}");
        assert_eq!(response.headers()[ETAG], etag);
        assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=300");
        assert!(
            to_bytes(response.into_body(), 4096)
                .await
                .unwrap()
                .is_empty()
        );
    }
    for tag in ["\"other\"", "", etag.trim_matches('"')] {
        let response = send(router.clone(), "GET", JWKS_PATH, Some(tag)).await;
        assert_eq!(response.status(), StatusCode::OK, "{tag}");
    }
}

#[tokio::test]
async fn refuses_other_methods_and_paths() {
    let (router, _) = served();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
        let response = send(router.clone(), method, JWKS_PATH, None).await;
        assert_eq!(
            response.status(),
            StatusCode::METHOD_NOT_ALLOWED,
            "{method}"
        );
        assert_eq!(response.headers()[http::header::ALLOW], "GET,HEAD");
    }
    for path in [
        "/",
        "/.well-known/",
        "/.well-known/jwks.json/",
        "/metrics",
        "/livez",
    ] {
        let response = send(router.clone(), "GET", path, None).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}
