//! An outage is never a logout.

use std::time::Duration;

use http::header;
use serde_json::json;

use crate::{
    fake_auth::{Mood, PASSWORD},
    harness::{Answer, world, world_with},
};

fn assert_outage(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    assert!(!answer.sets_cookie(), "the cookie stays");
    answer.reason();
}

#[tokio::test]
async fn an_auth_service_that_is_away_is_a_503_and_the_cookie_stays() {
    for mood in [Mood::Away, Mood::Refusing] {
        let world = world().await;
        let ann = world.sign_in("ann@example.com").await;
        world.auth.set(mood);
        let form = json!({"email": "ann@example.com", "password": PASSWORD});
        let password = json!({"current_password": PASSWORD, "new_password": "another good one"});
        let item = json!({"sku": "tea", "quantity": 1});
        for asking in [
            world.ask("GET", "/api/cart"),
            world.ask("POST", "/api/cart/items").json(&item),
            world.ask("GET", "/auth/session"),
            world.ask("GET", "/auth/sessions"),
            world.ask("DELETE", "/auth/sessions"),
            world.ask("POST", "/auth/login").json(&form),
            world.ask("POST", "/auth/password").json(&password),
            world.ask("POST", "/auth/logout"),
        ] {
            assert_outage(&asking.cookie(&ann).send().await);
        }
        assert_outage(&world.get("/api/cart").await);
        assert_outage(
            &world
                .ask("POST", "/api/cart/items")
                .json(&item)
                .send()
                .await,
        );
        // Who has no cookie is nobody, whoever is away.
        assert_eq!(world.get("/auth/session").await.status, 200);
        assert_eq!(world.get("/").await.status, 200);

        world.auth.set(Mood::Well);
        let answer = world.ask("GET", "/api/cart").cookie(&ann).send().await;
        assert_eq!(answer.status, 200, "nothing negative is remembered");
        assert_eq!(world.cart.last_caller(), "usr_ann@example.com");
    }
}

#[tokio::test]
async fn a_cached_token_outlives_an_outage() {
    let world = world().await;
    let ann = world.sign_in("ann@example.com").await;
    world.ask("GET", "/api/cart").cookie(&ann).send().await;
    world.auth.set(Mood::Away);
    let answer = world.ask("GET", "/api/cart").cookie(&ann).send().await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn an_auth_service_that_hangs_is_a_503_in_time() {
    let world = world_with(|config| {
        config.exchange.timeout = Duration::from_millis(500);
        config.auth.timeout = Duration::from_millis(500);
    })
    .await;
    let ann = world.sign_in("ann@example.com").await;
    world.auth.set(Mood::Hanging);
    for path in ["/api/cart", "/auth/session"] {
        assert_outage(&world.ask("GET", path).cookie(&ann).send().await);
    }
    assert_outage(&world.ask("POST", "/auth/logout").cookie(&ann).send().await);
}

#[tokio::test]
async fn a_session_that_ended_elsewhere_is_over_when_its_token_is() {
    let world = world().await;
    let ann = world.sign_in("ann@example.com").await;
    world.auth.end(&ann);
    let answer = world.ask("GET", "/auth/sessions").cookie(&ann).send().await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_str()),
        (401, "SESSION_REQUIRED")
    );
    let answer = world.ask("GET", "/api/cart").cookie(&ann).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.cart.last_caller(), "anonymous");
}
