use http_body_util::BodyExt;

use super::*;

async fn check(method: &str, path: &str, expected: StatusCode, contains: &str) {
    let readiness = Readiness::new();
    let _keys = readiness.gate("keys");
    let store = readiness.gate("store");
    store.set(true);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .body(())
        .unwrap();
    let response = respond(&request, &Metrics::new("test"), &readiness);
    assert_eq!(response.status(), expected, "{method} {path}");
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.contains(contains), "{method} {path}: {body:?}");
}

#[tokio::test]
async fn answers_its_three_questions_and_no_other() {
    check("GET", "/livez", StatusCode::OK, "ok").await;
    check(
        "GET",
        "/readyz",
        StatusCode::SERVICE_UNAVAILABLE,
        "not ready: keys\n",
    )
    .await;
    check("GET", "/metrics", StatusCode::OK, "# EOF").await;
    check("HEAD", "/livez", StatusCode::OK, "").await;
    check("POST", "/livez", StatusCode::METHOD_NOT_ALLOWED, "").await;
    check("DELETE", "/metrics", StatusCode::METHOD_NOT_ALLOWED, "").await;
    for path in [
        "/",
        "/livez/",
        "/Livez",
        "/metrics/x",
        "//metrics",
        "/debug/pprof",
    ] {
        check("GET", path, StatusCode::NOT_FOUND, "not found").await;
    }
}

#[tokio::test]
async fn is_ready_when_every_gate_is_open() {
    let request = Request::get("/readyz").body(()).unwrap();
    let response = respond(&request, &Metrics::new("test"), &Readiness::new());
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn ends_when_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    serve(listener, Metrics::new("test"), Readiness::new(), shutdown)
        .await
        .unwrap();
}
