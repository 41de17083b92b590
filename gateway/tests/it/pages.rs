//! Pages, and what every answer carries.

use http::header;
use serde_json::json;

use crate::{
    fake_auth::PASSWORD,
    harness::{Answer, world, world_with},
};

#[tokio::test]
async fn pages_have_clean_addresses() {
    let world = world().await;
    for path in ["/", "/sign-in", "/profile", "/devices"] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            answer.headers[header::CONTENT_TYPE],
            "text/html; charset=utf-8"
        );
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-cache");
        let tag = answer.headers[header::ETAG].to_str().unwrap();
        for asked in [
            tag.to_owned(),
            format!("W/{tag}"),
            format!("\"x\", {tag}"),
            "*".into(),
        ] {
            let again = world
                .ask("GET", path)
                .header("if-none-match", &asked)
                .send()
                .await;
            assert_eq!(
                (again.status.as_u16(), again.body.len()),
                (304, 0),
                "{asked}"
            );
        }
        let head = world.ask("HEAD", path).send().await;
        assert!(head.status == 200 && head.body.is_empty());
        let other = world
            .ask("GET", path)
            .header("if-none-match", "\"x\"")
            .send()
            .await;
        assert_eq!(other.status, 200);
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_page_for_people_and_a_document_for_programs() {
    let world = world().await;
    let browser = "text/html,application/xhtml+xml";
    for path in [
        "/nothing",
        "/assets/nothing.css",
        "/404",
        "/index.html",
        "/sign-in.html",
    ] {
        let answer = world
            .ask("GET", path)
            .header("accept", browser)
            .send()
            .await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(
            answer.headers[header::CONTENT_TYPE],
            "text/html; charset=utf-8"
        );
        assert_eq!(world.get(path).await.reason(), "NOT_FOUND");
    }
    let api = world
        .ask("GET", "/api/nothing")
        .header("accept", browser)
        .send()
        .await;
    assert_eq!(api.reason(), "NOT_FOUND");
}

fn assert_headers(answer: &Answer) {
    let is = |name: &str, value: &str| {
        assert_eq!(answer.headers[name], value, "{answer:?}");
        assert_eq!(answer.headers.get_all(name).iter().count(), 1);
    };
    is("x-content-type-options", "nosniff");
    is("referrer-policy", "no-referrer");
    is("cross-origin-opener-policy", "same-origin");
    is("cross-origin-resource-policy", "same-origin");
    assert!(answer.headers.contains_key("permissions-policy"));
    assert!(answer.headers.contains_key("x-request-id"));
    let html = answer
        .headers
        .get("content-type")
        .is_some_and(|t| t == "text/html; charset=utf-8");
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"));
    assert_eq!(policy.contains("script-src 'self'"), html);
    assert!(!policy.contains("unsafe"));
    if answer.sets_cookie() || !html {
        let cached = &answer.headers["cache-control"];
        assert!(
            cached == "no-store" || answer.headers.contains_key("etag"),
            "{answer:?}"
        );
    }
    // Tokens begin like this, and never leave the inside.
    let shown = format!("{:?} {:?}", answer.headers, answer.body);
    assert!(!shown.contains("eyJ"), "{shown}");
    for inner in ["panicked", "tonic", "src/", "sqlx"] {
        assert!(
            !String::from_utf8_lossy(&answer.body).contains(inner) || html,
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let world = world().await;
    let ann = world.sign_in("ann@example.com").await;
    let form = json!({"email": "a@b.c", "password": PASSWORD});
    let item = |sku: &str| json!({"sku": sku, "quantity": 1});
    let add = || world.ask("POST", "/api/cart/items");
    for (asking, status) in [
        (world.ask("GET", "/"), 200),
        (world.ask("GET", "/devices"), 200),
        (world.ask("GET", "/nothing"), 404),
        (
            world.ask("GET", "/nothing").header("accept", "text/html"),
            404,
        ),
        (world.ask("GET", "/assets/nothing"), 404),
        (world.ask("GET", "/%2e"), 400),
        (world.ask("PUT", "/api/cart"), 405),
        (world.ask("GET", "/auth/login"), 405),
        (world.ask("POST", "/auth/login").json(&form), 200),
        (world.ask("POST", "/auth/register").json(&form), 201),
        (world.ask("POST", "/auth/login").json(&json!({})), 400),
        (
            world.ask("POST", "/auth/login").body("text/plain", "x"),
            415,
        ),
        (
            world.ask("POST", "/auth/login").without("sec-fetch-site"),
            403,
        ),
        (world.ask("POST", "/auth/logout"), 204),
        (world.ask("GET", "/auth/session").cookie(&ann), 200),
        (world.ask("GET", "/auth/sessions").cookie(&ann), 200),
        (world.ask("GET", "/auth/sessions"), 401),
        (
            world
                .ask("GET", "/auth/session")
                .header("authorization", "Bearer x"),
            401,
        ),
        (world.ask("GET", "/api/cart").cookie(&ann), 200),
        (world.ask("GET", "/api/products"), 200),
        (add().json(&item("tea")), 200),
        (add().json(&item("missing")), 404),
        (add().json(&item("internal")), 502),
        (add().json(&item("unauthenticated")), 502),
        (add().json(&item("unavailable")), 503),
        (add().json(&item("panic")), 503),
        (add().body("application/json", "x".repeat(70_000)), 413),
    ] {
        let answer = asking.send().await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_headers(&answer);
        assert!(!answer.headers.contains_key("strict-transport-security"));
        assert!(!answer.headers.contains_key("server"));
    }
}

#[tokio::test]
async fn over_tls_browsers_are_told_to_stay_there() {
    let world = world_with(|config| {
        config.public_origins = vec!["https://shop.example".parse().unwrap()];
    })
    .await;
    let answer = world
        .raw(b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("strict-transport-security: max-age="),
        "{answer}"
    );
    // The derived names are not added to those of the settings.
    assert_eq!(world.get("/").await.status, 421);
}
