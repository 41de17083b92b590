//! Tokens, guests, header allow-list, errors.

use http::header;
use serde_json::json;

use crate::harness::{eventually, world, world_with};
use gateway::config::Access;

const ITEM: &str = "/api/cart/items";

fn item(sku: &str) -> serde_json::Value {
    json!({"sku": sku, "quantity": 1})
}

#[tokio::test]
async fn reading_without_a_session_is_anonymous_and_makes_none() {
    let world = world().await;
    for _ in 0..50 {
        let answer = world.get("/api/cart").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert!(!answer.sets_cookie());
        assert_eq!(answer.json()["currency"], "EUR");
    }
    assert_eq!(world.cart.last_caller(), "anonymous");
    assert_eq!((world.auth.guests(), world.auth.anonymous_tokens()), (0, 1));
}

#[tokio::test]
async fn the_first_unsafe_request_makes_a_guest() {
    let world = world().await;
    let answer = world.ask("POST", ITEM).json(&item("tea")).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let cookie = answer.session().expect("a guest's cookie");
    assert_eq!(world.cart.last_caller(), "gst_0");
    let answer = world
        .ask("POST", ITEM)
        .cookie(&cookie)
        .json(&item("tea"))
        .send()
        .await;
    assert!(!answer.sets_cookie());
    world.ask("GET", "/api/cart").cookie(&cookie).send().await;
    assert_eq!(world.cart.last_caller(), "gst_0");
    assert_eq!((world.auth.guests(), world.auth.exchanges()), (1, 1));
}

#[tokio::test]
async fn a_guest_that_was_made_reaches_the_browser_whatever_happens_then() {
    let world = world().await;
    let answer = world.ask("POST", ITEM).json(&item("full")).send().await;
    assert_eq!(answer.status, 409);
    assert!(world.auth.is_live(&answer.session().unwrap()));
}

#[tokio::test]
async fn a_cookie_of_no_session_is_none() {
    let world = world().await;
    let dead = "A".repeat(43);
    let answer = world.ask("GET", "/api/cart").cookie(&dead).send().await;
    assert_eq!(answer.status, 200);
    // Not taken away: see auth/session.rs.
    assert!(!answer.sets_cookie());
    assert_eq!(world.cart.last_caller(), "anonymous");
    let answer = world
        .ask("POST", ITEM)
        .cookie(&dead)
        .json(&item("tea"))
        .send()
        .await;
    let cookie = answer.session().unwrap();
    assert_ne!(cookie, dead, "a client does not choose its session");
    assert_eq!(world.cart.last_caller(), "gst_0");
}

#[tokio::test]
async fn a_service_for_people_asks_for_a_sign_in() {
    let world = world_with(|config| config.upstreams[0].access = Access::User).await;
    for (method, path) in [("GET", "/api/cart"), ("POST", ITEM)] {
        let answer = world
            .ask(method, path)
            .json_if(method == "POST")
            .send()
            .await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.reason(), "SESSION_REQUIRED");
        assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
        assert!(!answer.sets_cookie());
    }
    assert_eq!(world.auth.guests(), 0);
    let ann = world.sign_in("ann@example.com").await;
    let answer = world.ask("GET", "/api/cart").cookie(&ann).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.cart.last_caller(), "usr_ann@example.com");
}

#[tokio::test]
async fn a_service_for_anyone_never_makes_a_guest() {
    let world = world_with(|config| config.upstreams[0].access = Access::Anyone).await;
    let answer = world.ask("POST", ITEM).json(&item("tea")).send().await;
    assert_eq!(answer.status, 200);
    assert!(!answer.sets_cookie());
    assert_eq!(
        (world.cart.last_caller().as_str(), world.auth.guests()),
        ("anonymous", 0)
    );
}

#[tokio::test]
async fn a_hundred_requests_at_once_need_one_exchange() {
    let world = world().await;
    let ann = world.sign_in("ann@example.com").await;
    world.auth.set(crate::fake_auth::Mood::Hanging);
    let requests = (0..100).map(|_| world.ask("GET", "/api/cart").cookie(&ann).send());
    let (answers, ()) = tokio::join!(futures::future::join_all(requests), async {
        eventually(async || {
            let metrics = world.metrics().await;
            metrics.contains("latchkey_exchange_joined_total{program=\"gateway\"} 99")
        })
        .await;
        world.auth.set(crate::fake_auth::Mood::Well);
    });
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(world.auth.exchanges(), 1);
}

#[tokio::test]
async fn services_hear_only_what_is_on_the_list() {
    let world = world().await;
    let ann = world.sign_in("ann@example.com").await;
    let mut asking = world.ask("GET", "/api/cart").cookie(&ann);
    for name in [
        "x-user-id",
        "x_user_id",
        "x-internal-token",
        "txn-token",
        "x-forwarded-user",
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "grpc-metadata-user",
        "grpc-timeout",
        "user-bin",
        "x-request-id",
        "x-http-method-override",
        "traceparent",
        "proxy-authorization",
    ] {
        asking = asking.header(name, "evil");
    }
    let answer = asking
        .header("connection", "cookie, authorization")
        .send()
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = world.cart.seen().pop().unwrap().into_headers();
    let mut names: Vec<_> = seen.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    names.retain(|name| !matches!(*name, "grpc-timeout" | "grpc-accept-encoding"));
    assert_eq!(
        names,
        [
            "authorization",
            "content-type",
            "te",
            "traceparent",
            "user-agent",
            "x-request-id"
        ]
    );
    assert!(seen.iter().all(|(_, value)| value != "evil"));
    assert!(!format!("{seen:?}").contains(&ann));
    assert_eq!(seen.get_all("authorization").iter().count(), 1);
    assert_eq!(answer.headers["x-request-id"], seen["x-request-id"]);
}

#[tokio::test]
async fn a_trace_is_continued() {
    let world = world().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    world
        .ask("GET", "/api/cart")
        .header("traceparent", &parent)
        .send()
        .await;
    let seen = world.cart.seen().pop().unwrap();
    let sent = seen.get("traceparent").unwrap().to_str().unwrap();
    assert!(
        sent.starts_with(&format!("00-{trace}-")) && sent != parent,
        "{sent}"
    );
}

#[tokio::test]
async fn errors_of_services_are_told_without_their_insides() {
    let world = world().await;
    let cookie = world.sign_in("ann@example.com").await;
    for (sku, status, reason) in [
        ("internal", 502, "UPSTREAM_FAILED"),
        ("unauthenticated", 502, "UPSTREAM_FAILED"),
        ("unavailable", 503, "REASON_OF_CART"),
        ("missing", 404, "REASON_OF_CART"),
        ("full", 409, "REASON_OF_CART"),
    ] {
        let answer = world
            .ask("POST", ITEM)
            .cookie(&cookie)
            .json(&item(sku))
            .send()
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (status, reason),
            "{sku}"
        );
        let told = answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("words of the cart");
        assert_eq!(told, status < 500, "{answer:?}");
        assert_eq!(
            answer.headers.contains_key(header::RETRY_AFTER),
            status == 503
        );
        assert!(!answer.sets_cookie(), "nobody is signed out: {sku}");
    }
    let metrics = world.metrics().await;
    assert!(
        metrics.contains("upstream_refused_tokens_total"),
        "{metrics}"
    );
    assert!(metrics.contains("route=\"/api/cart/items\""), "{metrics}");
}

#[tokio::test]
async fn what_a_handler_passes_on_is_not_asked_again() {
    let world = world().await;
    let cookie = world.sign_in("ann@example.com").await;
    let answer = world
        .ask("POST", ITEM)
        .cookie(&cookie)
        .json(&item("refused-inside"))
        .send()
        .await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(world.cart.seen().len(), 1, "the handler ran once");
}

#[tokio::test]
async fn unknown_fields_and_broken_json_are_refused_before_a_guest_is_made() {
    let world = world().await;
    for body in [
        "{",
        "[]",
        r#"{"sku":"tea","quantity":1,"price":0}"#,
        r#"{"sku":"a","sku":"b"}"#,
    ] {
        let answer = world
            .ask("POST", ITEM)
            .body("application/json", body)
            .send()
            .await;
        assert_eq!(answer.status, 400, "{body} {answer:?}");
        answer.reason();
        assert!(!answer.sets_cookie());
    }
    assert_eq!(world.auth.guests(), 0);
    assert!(world.cart.seen().is_empty());
}

#[tokio::test]
async fn unknown_paths_and_methods_have_their_answers() {
    let world = world().await;
    for path in [
        "/api",
        "/api/",
        "/api/nothing",
        "/api/cart/",
        "/auth",
        "/auth/",
        "/auth/nothing",
    ] {
        let answer = world.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (404, "NOT_FOUND"),
            "{path}"
        );
    }
    for (method, path, allow) in [
        ("PUT", "/api/cart", "GET"),
        ("TRACE", "/api/cart", "GET"),
        ("OPTIONS", "/api/cart", "GET"),
        ("MADEUP", "/api/cart", "GET"),
        ("GET", "/auth/login", "POST"),
        ("MADEUP", "/auth/session", "GET"),
        ("POST", "/", "GET"),
    ] {
        let answer = world
            .ask(method, path)
            .without("sec-fetch-site")
            .send()
            .await;
        assert_eq!(answer.status, 405, "{method} {path} {answer:?}");
        let allowed = answer.headers[header::ALLOW].to_str().unwrap();
        assert!(allowed.contains(allow), "{method} {path}: {allowed}");
    }
}

#[tokio::test]
async fn inner_pages_are_not_on_the_public_port() {
    let world = world().await;
    for path in [
        "/metrics",
        "/livez",
        "/readyz",
        "/healthz",
        "/.well-known/jwks.json",
        "/admin",
        "/debug",
        "/latchkey.auth.v1.TokenService/ExchangeSession",
        "/latchkey.cart.v1.CartService/GetCart",
        "/grpc.health.v1.Health/Check",
        "/api/latchkey.cart.v1.CartService/GetCart",
    ] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
}

trait JsonIf {
    fn json_if(self, condition: bool) -> Self;
}

impl JsonIf for crate::harness::Asking<'_> {
    fn json_if(self, condition: bool) -> Self {
        if condition {
            self.json(&item("tea"))
        } else {
            self
        }
    }
}
