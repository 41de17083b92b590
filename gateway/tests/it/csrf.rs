//! Who may send unsafe requests, with and without a cookie.

use serde_json::json;

use crate::harness::{Asking, World, world, world_with};

const ROUTES: [(&str, &str); 8] = [
    ("POST", "/auth/login"),
    ("POST", "/auth/register"),
    ("POST", "/auth/logout"),
    ("POST", "/auth/password"),
    ("DELETE", "/auth/sessions"),
    ("POST", "/api/cart/items"),
    ("PATCH", "/api/cart/items/tea"),
    ("DELETE", "/api/cart"),
];

/// A request that says nothing about where it comes from.
fn bare<'a>(world: &'a World, (method, path): (&str, &str)) -> Asking<'a> {
    world.ask(method, path).without("sec-fetch-site")
}

#[tokio::test]
async fn other_peoples_pages_are_refused_everywhere() {
    let world = world().await;
    let ann = world.sign_in("ann@example.com").await;
    let port = world.address.port();
    let near = [
        "null".to_owned(),
        "https://evil.example".to_owned(),
        format!("https://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{}", port ^ 1),
        format!("http://127.0.0.1:{port}.evil.example"),
        format!("http://localhost.evil.example:{port}"),
        // Ours, but not the one this request is for.
        format!("http://localhost:{port}"),
    ];
    for route in ROUTES {
        let mut asked = vec![bare(&world, route), bare(&world, route).cookie(&ann)];
        for site in ["cross-site", "same-site", "none", "Same-Origin", ""] {
            let own = format!("http://{}", world.address);
            asked.push(
                bare(&world, route)
                    .header("sec-fetch-site", site)
                    .header("origin", &own),
            );
        }
        for origin in &near {
            asked.push(bare(&world, route).cookie(&ann).header("origin", origin));
        }
        for asking in asked {
            let answer = asking.send().await;
            assert_eq!(answer.status, 403, "{route:?} {answer:?}");
            assert_eq!(answer.reason(), "CSRF_REFUSED");
            assert!(!answer.sets_cookie());
        }
    }
    assert!(world.auth.is_live(&ann));
    assert_eq!((world.auth.guests(), world.cart.seen().len()), (0, 0));
}

#[tokio::test]
async fn our_own_pages_pass() {
    let world = world().await;
    let item = json!({"sku": "tea", "quantity": 1});
    let route = ("POST", "/api/cart/items");
    let own = format!("http://{}", world.address);
    for asking in [
        bare(&world, route).header("sec-fetch-site", "same-origin"),
        bare(&world, route)
            .header("sec-fetch-site", "same-origin")
            .header("origin", "null"),
        bare(&world, route).header("origin", &own),
    ] {
        assert_eq!(asking.json(&item).send().await.status, 200);
    }
}

#[tokio::test]
async fn forms_are_no_json() {
    let world = world().await;
    for media_type in [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/json, text/plain",
        "application/json; charset=latin1",
    ] {
        for route in [
            ("POST", "/auth/login"),
            ("POST", "/api/cart/items"),
            ("DELETE", "/api/cart"),
        ] {
            let answer = world
                .ask(route.0, route.1)
                .body(media_type, "{}")
                .send()
                .await;
            assert_eq!(answer.status, 415, "{media_type} {answer:?}");
            assert_eq!(answer.reason(), "MEDIA_TYPE_NOT_SUPPORTED");
        }
    }
    let answer = world
        .ask("POST", "/auth/login")
        .body("application/json", "{}")
        .header("content-encoding", "gzip")
        .send()
        .await;
    assert_eq!(answer.reason(), "CONTENT_ENCODING_NOT_SUPPORTED");
}

#[tokio::test]
async fn nothing_overrides_the_method() {
    let world = world().await;
    let ann = world.sign_in("ann@example.com").await;
    for name in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    ] {
        let answer = world
            .ask("GET", "/auth/session?_method=DELETE")
            .cookie(&ann)
            .header(name, "DELETE")
            .send()
            .await;
        assert_eq!(answer.status, 200);
    }
    let answer = world.ask("HEAD", "/api/cart").cookie(&ann).send().await;
    assert!(answer.status == 200 && answer.body.is_empty());
    assert!(world.auth.is_live(&ann));
}

#[tokio::test]
async fn there_is_no_cors() {
    let world = world_with(|_| {}).await;
    for origin in ["https://evil.example", "null"] {
        let answer = world
            .ask("OPTIONS", "/api/cart")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .send()
            .await;
        assert_eq!(answer.status, 405);
        let answer = world
            .ask("GET", "/api/cart")
            .header("origin", origin)
            .send()
            .await;
        assert!(
            answer
                .headers
                .keys()
                .all(|name| !name.as_str().starts_with("access-control"))
        );
    }
}
