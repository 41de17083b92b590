//! Hosts, paths, credentials, sizes and times.

use std::time::Duration;

use http::header;

use crate::harness::{COOKIE, world, world_with};

#[tokio::test]
async fn only_our_own_hosts_are_answered() {
    let world = world().await;
    let port = world.address.port();
    for (head, expected) in [
        (
            "GET /auth/session HTTP/1.1\r\nhost: {host}\r\n\r\n".to_owned(),
            200,
        ),
        (
            format!("GET /auth/session HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n"),
            200,
        ),
        (
            format!("GET /auth/session HTTP/1.1\r\nhost: LocalHost:{port}\r\n\r\n"),
            200,
        ),
        (
            format!("GET /auth/session HTTP/1.1\r\nhost: [::1]:{port}\r\n\r\n"),
            200,
        ),
        (
            "GET /auth/session HTTP/1.1\r\nhost: localhost\r\n\r\n".into(),
            421,
        ),
        (
            "GET /auth/session HTTP/1.1\r\nhost: evil.example\r\n\r\n".into(),
            421,
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: evil.example:{port}\r\n\r\n"),
            421,
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: localhost:{port}.evil.example\r\n\r\n"),
            421,
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: evil@localhost:{port}\r\n\r\n"),
            421,
        ),
        ("GET /auth/session HTTP/1.1\r\n\r\n".into(), 400),
        ("GET /auth/session HTTP/1.0\r\n\r\n".into(), 400),
        (
            "GET /auth/session HTTP/1.1\r\nhost: {host}\r\nhost: {host}\r\n\r\n".into(),
            400,
        ),
        (
            "GET /auth/session HTTP/1.1\r\nhost: {host}\r\nhost: evil.example\r\n\r\n".into(),
            400,
        ),
        (
            "GET http://{host}/auth/session HTTP/1.1\r\nhost: {host}\r\n\r\n".into(),
            400,
        ),
        (
            "GET http://evil.example/ HTTP/1.1\r\nhost: {host}\r\n\r\n".into(),
            400,
        ),
        (
            "GET / HTTP/1.1\r\nhost: evil.example\r\nx-forwarded-host: {host}\r\n\r\n".into(),
            421,
        ),
    ] {
        assert_eq!(world.raw_status(&head).await, expected, "{head}");
    }
}

#[tokio::test]
async fn paths_have_one_spelling() {
    let world = world().await;
    for path in [
        "//api/cart",
        "/api//cart",
        "/api/./cart",
        "/api/../auth/session",
        "/api/%2e%2e/cart",
        "/assets/..%2findex.html",
        "/assets/../index.html",
        "/api%2fcart",
        "/api/cart;x=1",
        "/api\\cart",
        "/api/cart%00",
        "/%61pi/cart",
        "/api/cart%",
        "/..",
        "/%2e",
        "*",
    ] {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {{host}}\r\n\r\n");
        let status = world.raw_status(&head).await;
        assert!(status == 400, "{path} {status}");
    }
    assert!(world.cart.seen().is_empty());
}

#[tokio::test]
async fn ambiguous_credentials_are_refused() {
    let world = world().await;
    let ann = world.sign_in("ann@example.com").await;
    let evil = "A".repeat(43);
    let ours = format!("{COOKIE}={ann}");
    for path in ["/auth/session", "/api/cart"] {
        for cookies in [
            vec![format!("{ours}; {COOKIE}={evil}")],
            vec![format!("{COOKIE}={evil}; {ours}")],
            vec![ours.clone(), format!("{COOKIE}={evil}")],
            vec![format!("{ours}; {ours}")],
            vec![format!("{COOKIE}=; {ours}")],
        ] {
            let mut asking = world.ask("GET", path);
            for cookie in &cookies {
                asking = asking.header("cookie", cookie);
            }
            let answer = asking.send().await;
            assert_eq!(answer.status, 400, "{cookies:?}");
            assert_eq!(answer.reason(), "CREDENTIAL_AMBIGUOUS");
        }
        let both = world
            .ask("GET", path)
            .cookie(&ann)
            .header("authorization", "Bearer x");
        assert_eq!(both.send().await.reason(), "CREDENTIAL_AMBIGUOUS");
        // A session's secret is no bearer token, and a token in the cookie no session.
        let bearer = world
            .ask("GET", path)
            .header("authorization", &format!("Bearer {ann}"));
        let answer = bearer.send().await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (401, "BEARER_NOT_ACCEPTED")
        );
        assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
        // Another case is another cookie.
        let foreign = format!("__host-http-session={ann}");
        let answer = world
            .ask("GET", path)
            .header("cookie", &foreign)
            .send()
            .await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(world.cart.last_caller(), "anonymous");
    // A credential in the query is none.
    let query = format!("/auth/session?{COOKIE}={ann}&access_token={ann}");
    assert_eq!(world.get(&query).await.json()["authenticated"], false);
}

#[tokio::test]
async fn http2_has_the_same_rules() {
    let world = world().await;
    let ann = world.sign_in("ann@example.com").await;
    // HTTP/2 may send each cookie in a header of its own (RFC 9113, 8.2.3).
    let crumbs = world
        .ask("GET", "/api/cart")
        .header("cookie", "a=b")
        .cookie(&ann);
    assert_eq!(crumbs.send_http2().await.status, 200);
    assert_eq!(world.cart.last_caller(), "usr_ann@example.com");
    let two = world
        .ask("GET", "/api/cart")
        .cookie(&ann)
        .cookie(&ann)
        .send_http2()
        .await;
    assert_eq!(two.reason(), "CREDENTIAL_AMBIGUOUS");
    let other = world
        .ask("GET", "/auth/session")
        .header("host", "evil.example");
    assert_eq!(other.send_http2().await.status, 400);
    let forged = world
        .ask("POST", "/auth/logout")
        .without("sec-fetch-site")
        .cookie(&ann);
    assert_eq!(forged.send_http2().await.reason(), "CSRF_REFUSED");
}

#[tokio::test]
async fn malformed_cookies_are_none_and_cost_nothing() {
    let world = world().await;
    for value in [
        "",
        "x",
        "' OR 1=1",
        "\"quoted\"",
        "%00",
        &"A".repeat(8000),
        &"é".repeat(43),
    ] {
        let answer = world
            .ask("GET", "/auth/session")
            .header("cookie", &format!("{COOKIE}={value}"));
        let answer = answer.send().await;
        assert_eq!(answer.status, 200, "{value:.40}");
        assert_eq!(answer.json()["authenticated"], false);
    }
    assert_eq!(world.auth.exchanges(), 0);
}

#[tokio::test]
async fn oversized_requests_are_refused() {
    let world = world().await;
    let body = format!(r#"{{"sku":"{}"}}"#, "x".repeat(70_000));
    let answer = world
        .ask("POST", "/api/cart/items")
        .body("application/json", body)
        .send()
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_str()),
        (413, "BODY_TOO_LARGE")
    );

    let head = "POST /api/cart/items HTTP/1.1\r\nhost: {host}\r\nsec-fetch-site: same-origin\r\n\
                content-type: application/json\r\n";
    let declared = format!("{head}content-length: 100000000\r\n\r\n");
    assert_eq!(world.raw_status(&declared).await, 413);
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}{chunk}{chunk}");
    assert_eq!(world.raw_status(&chunked).await, 413);

    assert_eq!(
        world
            .get(&format!("/api/cart?{}", "x".repeat(9000)))
            .await
            .status,
        414
    );
    let header = world
        .ask("GET", "/api/cart")
        .header("x-long", &"x".repeat(40_000))
        .send()
        .await;
    assert_eq!(header.status, 431);
    assert!(world.cart.seen().is_empty());
    assert_eq!(world.auth.guests(), 0);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = world_with(|config| {
        config.limits.body_timeout = Duration::from_millis(50);
    })
    .await;
    for path in ["/api/cart/items", "/auth/login"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {{host}}\r\nsec-fetch-site: same-origin\r\n\
             content-type: application/json\r\ncontent-length: 20\r\n\r\n{{"
        );
        assert_eq!(world.raw_status(&head).await, 408, "{path}");
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_ends() {
    let world = world_with(|config| {
        config.limits.request_timeout = Duration::from_millis(50);
    })
    .await;
    world.cart.set_open(false);
    let answer = world.get("/api/cart").await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_str()),
        (504, "TIMEOUT")
    );
}

#[tokio::test]
async fn a_service_that_takes_too_long_is_a_504() {
    let world = world_with(|config| {
        config.upstreams[0].timeout = Duration::from_millis(50);
    })
    .await;
    world.cart.set_open(false);
    assert_eq!(world.get("/api/cart").await.status, 504);
}

#[tokio::test]
async fn more_requests_than_fit_are_shed() {
    let world = world_with(|config| config.limits.requests_in_flight = 1).await;
    world.cart.set_open(false);
    let (held, ()) = tokio::join!(world.get("/api/cart"), async {
        crate::harness::eventually(async || world.cart.seen().len() == 1).await;
        let answer = world.get("/api/cart").await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_str()),
            (503, "OVERLOADED")
        );
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
        world.cart.set_open(true);
    });
    assert_eq!(held.status, 200);
}

#[tokio::test]
async fn one_address_cannot_take_every_place() {
    let world = world_with(|config| {
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        config.limits.requests_in_flight_per_address = 1;
    })
    .await;
    world.cart.set_open(false);
    let from = |address: &str| {
        world
            .ask("GET", "/api/cart")
            .header("x-forwarded-for", address)
    };
    let (held, other) = tokio::join!(from("192.0.2.1").send(), async {
        crate::harness::eventually(async || world.cart.seen().len() == 1).await;
        assert_eq!(from("192.0.2.1").send().await.status, 503);
        let other = from("192.0.2.2").send();
        let (other, ()) = tokio::join!(other, async {
            crate::harness::eventually(async || world.cart.seen().len() == 2).await;
            world.cart.set_open(true);
        });
        other
    });
    assert_eq!((held.status.as_u16(), other.status.as_u16()), (200, 200));
}

#[tokio::test]
async fn reading_takes_no_body() {
    let world = world().await;
    for framing in [
        "content-length: 2\r\n\r\n{}",
        "transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let head = format!("GET /api/cart HTTP/1.1\r\nhost: {{host}}\r\n{framing}");
        assert_eq!(world.raw_status(&head).await, 400, "{framing}");
    }
}

#[tokio::test]
async fn a_request_id_is_ours_alone() {
    let world = world().await;
    let answer = world
        .ask("GET", "/auth/session")
        .header("x-request-id", "chosen")
        .send()
        .await;
    let id = answer.headers["x-request-id"].to_str().unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
}
