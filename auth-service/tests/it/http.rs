use serde_json::Value;

use crate::support::{Auth, get, request};

const JWKS: &str = "/.well-known/jwks.json";

#[tokio::test]
async fn the_jwks_has_public_members_only_and_is_cacheable() {
    let auth = Auth::start().await;
    let response = get(auth.http, JWKS, &[]).await;
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("cache-control"),
        Some("public, max-age=300")
    );
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    let document: Value = serde_json::from_slice(&response.body).unwrap();
    let keys = document["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    let mut members: Vec<&str> = keys[0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    members.sort_unstable();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
    assert_eq!(
        (&keys[0]["alg"], &keys[0]["use"]),
        (&"EdDSA".into(), &"sig".into())
    );

    let etag = response.header("etag").unwrap();
    let again = get(auth.http, JWKS, &[("if-none-match", etag)]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), Some(etag));
    let head = request(auth.http, "HEAD", JWKS, &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("etag"), Some(etag));
    auth.stop().await;
}

#[tokio::test]
async fn nothing_else_is_served_beside_it() {
    let auth = Auth::start().await;
    for path in [
        "/",
        "/metrics",
        "/readyz",
        "/.well-known/jwks.json/x",
        "/.well-known/../x",
    ] {
        assert_eq!(get(auth.http, path, &[]).await.status, 404, "{path}");
    }
    let post = request(auth.http, "POST", JWKS, &[("content-length", "0")]).await;
    assert_eq!((post.status, post.header("allow")), (405, Some("GET,HEAD")));
    assert_eq!(get(auth.http, JWKS, &[]).await.status, 200);
    auth.stop().await;
}

#[tokio::test]
async fn the_operations_port_tells_health_and_numbers() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let secret = gateway.guest().await.unwrap().session_secret;
    gateway.exchange(&secret, "cart-service").await.unwrap();
    gateway
        .exchange("nonsense", "cart-service")
        .await
        .unwrap_err();
    gateway
        .login("nobody@example.com", "whatever it is")
        .await
        .unwrap_err();
    assert_eq!(get(auth.operations, "/livez", &[]).await.status, 200);
    assert_eq!(get(auth.operations, "/readyz", &[]).await.status, 200);
    let metrics = get(auth.operations, "/metrics", &[]).await.body;
    let metrics = String::from_utf8(metrics).unwrap();
    for (name, label, count) in [
        (
            "latchkey_auth_sessions_created_total",
            r#"kind="guest""#,
            "1",
        ),
        ("latchkey_auth_exchanges_total", r#"result="ok""#, "1"),
        (
            "latchkey_auth_exchanges_total",
            r#"result="session_invalid""#,
            "1",
        ),
        ("latchkey_auth_logins_total", r#"result="refused""#, "1"),
        ("latchkey_auth_assertions_total", r#"result="ok""#, "4"),
        ("latchkey_auth_hashing_waiting", "", "0"),
        ("latchkey_auth_hashing_shed_total", "", "0"),
    ] {
        let is_it = |line: &&str| {
            line.starts_with(name) && line.contains(label) && line.ends_with(&format!(" {count}"))
        };
        assert!(
            metrics.lines().any(|line| is_it(&line)),
            "{name} {label} {count}: {metrics}"
        );
    }
    assert!(!metrics.contains(&secret));
    auth.stop().await;
}
