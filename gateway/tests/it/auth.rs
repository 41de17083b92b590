//! `/auth/**`.

use http::header;
use serde_json::json;

use crate::{
    fake_auth::{Mood, PASSWORD},
    harness::{World, eventually, world, world_with},
};

async fn caller(world: &World, cookie: &str) -> String {
    let answer = world.ask("GET", "/api/cart").cookie(cookie).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    world.cart.last_caller()
}

fn form(email: &str) -> serde_json::Value {
    json!({"email": email, "password": PASSWORD})
}

#[tokio::test]
async fn registering_and_signing_in_replace_the_session() {
    let world = world().await;
    let item = json!({"sku": "tea", "quantity": 1});
    let guest = world
        .ask("POST", "/api/cart/items")
        .json(&item)
        .send()
        .await
        .session()
        .unwrap();
    let answer = world
        .ask("POST", "/auth/register")
        .cookie(&guest)
        .json(&json!({"email": "ann@example.com", "password": PASSWORD, "display_name": "Ann"}))
        .send()
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let ann = answer.session().unwrap();
    assert_ne!(ann, guest);
    let body = answer.json();
    assert_eq!(body["user"]["email"], "ann@example.com");
    assert_eq!(body["session"]["kind"], "user");
    assert_eq!(body["session"]["current"], true);
    assert_eq!(body["session"]["amr"], json!(["pwd"]));
    assert_eq!(body["session"]["created_at"], "2023-11-14T22:13:20Z");
    assert!(
        !body.to_string().contains(&ann),
        "the secret is in the cookie only"
    );

    // The guest's token was still cached, and is not used any more.
    assert_eq!(caller(&world, &guest).await, "anonymous");
    assert_eq!(caller(&world, &ann).await, "usr_ann@example.com");

    let answer = world
        .ask("POST", "/auth/login")
        .cookie(&ann)
        .json(&form("ann@example.com"));
    let answer = answer.send().await;
    assert_eq!(answer.status, 200);
    let again = answer.session().unwrap();
    assert_eq!(caller(&world, &ann).await, "anonymous");
    assert_eq!(caller(&world, &again).await, "usr_ann@example.com");
}

#[tokio::test]
async fn refusals_pass_with_their_reasons() {
    let world = world().await;
    let wrong = json!({"email": "ann@example.com", "password": "wrong-password"});
    let answer = world.ask("POST", "/auth/login").json(&wrong).send().await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_str()),
        (401, "LOGIN_REFUSED")
    );
    assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
    assert!(!answer.sets_cookie());
    let answer = world
        .ask("POST", "/auth/register")
        .json(&form("taken@example.com"))
        .send()
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_str()),
        (409, "EMAIL_TAKEN")
    );
}

#[tokio::test]
async fn bodies_are_strict() {
    let world = world().await;
    let long = "x".repeat(257);
    for body in [
        String::new(),
        "{".into(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        r#"{"email":"a@b.c"}"#.into(),
        r#"{"email":"a@b.c","password":"longenough","admin":true}"#.into(),
        r#"{"email":"a@b.c","email":"d@e.f","password":"longenough"}"#.into(),
        r#"{"email":"a@b.c","password":12345678}"#.into(),
        r#"{"email":"a@b.c","password":"longenough"} x"#.into(),
        r#"{"email":"a@b.c","password":"\ud800"}"#.into(),
        format!(r#"{{"email":"a@b.c","password":"{long}"}}"#),
        format!(r#"{{"email":"{long}@b.c","password":"longenough"}}"#),
        "[".repeat(5000),
    ] {
        let answer = world
            .ask("POST", "/auth/login")
            .body("application/json", body.clone());
        let answer = answer.send().await;
        assert_eq!(answer.status, 400, "{body:.60} {answer:?}");
        assert!(!answer.json().to_string().contains("longenough"));
    }
    let invalid = [
        b"{\"email\":\"".as_slice(),
        &[0xff],
        b"\",\"password\":\"longenough\"}",
    ]
    .concat();
    let answer = world
        .ask("POST", "/auth/login")
        .body("application/json", invalid)
        .send()
        .await;
    assert_eq!(answer.status, 400);
    let huge = format!(
        r#"{{"email":"a@b.c","password":"{}"}}"#,
        "x".repeat(1 << 20)
    );
    let answer = world
        .ask("POST", "/auth/login")
        .body("application/json", huge)
        .send()
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_str()),
        (413, "BODY_TOO_LARGE")
    );
}

#[tokio::test]
async fn a_logout_refuses_the_next_request() {
    let world = world().await;
    let ann = world.sign_in("ann@example.com").await;
    assert_eq!(caller(&world, &ann).await, "usr_ann@example.com");
    let answer = world.ask("POST", "/auth/logout").cookie(&ann).send().await;
    assert_eq!(answer.status, 204);
    assert!(answer.clears_cookie() && answer.body.is_empty());
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    assert!(!world.auth.is_live(&ann));
    assert_eq!(caller(&world, &ann).await, "anonymous");
    // Again, and without any session: the wish is fulfilled.
    for cookie in [Some(&ann), None] {
        let asking = world.ask("POST", "/auth/logout");
        let asking = if let Some(cookie) = cookie {
            asking.cookie(cookie)
        } else {
            asking
        };
        assert_eq!(asking.send().await.status, 204);
    }
}

#[tokio::test]
async fn a_token_on_its_way_during_a_logout_is_not_used() {
    let world = world().await;
    let ann = world.sign_in("ann@example.com").await;
    world.auth.set(Mood::Hanging);
    let early = world.ask("GET", "/api/cart").cookie(&ann).send();
    let logout = async {
        eventually(async || world.auth.waiting() == 1).await;
        let logout = world.ask("POST", "/auth/logout").cookie(&ann).send();
        let (answer, ()) = tokio::join!(logout, async {
            eventually(async || world.auth.waiting() == 2).await;
            world.auth.set(Mood::Well);
        });
        assert_eq!(answer.status, 204);
    };
    tokio::join!(early, logout);
    assert_eq!(caller(&world, &ann).await, "anonymous");
}

#[tokio::test]
async fn a_logout_whose_browser_hangs_up_still_ends_the_token() {
    let world = world().await;
    let ann = world.sign_in("ann@example.com").await;
    assert_eq!(caller(&world, &ann).await, "usr_ann@example.com");
    world.auth.set(Mood::Hanging);
    {
        let logout = world.ask("POST", "/auth/logout").cookie(&ann).send();
        let waiting = eventually(async || world.auth.waiting() == 1);
        futures::future::select(Box::pin(logout), Box::pin(waiting)).await;
        // Both are dropped here, and the connection with them.
    }
    world.auth.set(Mood::Well);
    eventually(async || !world.auth.is_live(&ann)).await;
    eventually(async || caller(&world, &ann).await == "anonymous").await;
}

#[tokio::test]
async fn who_am_i_answers_everybody() {
    let world = world().await;
    let nobody = json!({"authenticated": false, "guest": false});
    assert_eq!(world.get("/auth/session").await.json(), nobody);
    let dead = world
        .ask("GET", "/auth/session")
        .cookie(&"A".repeat(43))
        .send()
        .await;
    assert_eq!((dead.status.as_u16(), dead.json()), (200, nobody));
    assert!(!dead.sets_cookie());

    let item = json!({"sku": "tea", "quantity": 1});
    let guest = world
        .ask("POST", "/api/cart/items")
        .json(&item)
        .send()
        .await
        .session()
        .unwrap();
    let answer = world
        .ask("GET", "/auth/session")
        .cookie(&guest)
        .send()
        .await
        .json();
    assert_eq!(answer["guest"], true);
    assert_eq!(answer["authenticated"], false);
    assert_eq!(answer["session"]["kind"], "guest");
    assert!(answer.get("user").is_none());
    assert!(answer["session"].get("authenticated_at").is_none());

    let ann = world.sign_in("ann@example.com").await;
    let answer = world
        .ask("GET", "/auth/session")
        .cookie(&ann)
        .send()
        .await
        .json();
    assert_eq!(answer["authenticated"], true);
    assert_eq!(answer["user"]["subject"], "usr_ann@example.com");
    assert_eq!(answer["session"]["current"], true);
}

#[tokio::test]
async fn devices_are_listed_and_ended() {
    let world = world().await;
    let first = world.sign_in("ann@example.com").await;
    let second = world.sign_in("ann@example.com").await;
    let third = world.sign_in("ann@example.com").await;
    let other = world.sign_in("bob@example.com").await;
    for cookie in [&first, &second, &third, &other] {
        caller(&world, cookie).await;
    }
    let id = async |cookie: &str| {
        let answer = world
            .ask("GET", "/auth/session")
            .cookie(cookie)
            .send()
            .await;
        answer.json()["session"]["id"].as_str().unwrap().to_owned()
    };
    let listed = world
        .ask("GET", "/auth/sessions")
        .cookie(&first)
        .send()
        .await
        .json();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 3);

    // One of one's own: no cookie changes, and its cached token is dropped.
    let path = format!("/auth/sessions/{}", id(&second).await);
    let answer = world.ask("DELETE", &path).cookie(&first).send().await;
    assert_eq!(answer.status, 204);
    assert!(!answer.sets_cookie());
    assert_eq!(caller(&world, &second).await, "anonymous");

    // Somebody else's, or none at all.
    let foreign = format!("/auth/sessions/{}", id(&other).await);
    for path in [
        foreign.as_str(),
        "/auth/sessions/x",
        "/auth/sessions/%20",
        &path,
    ] {
        let answer = world.ask("DELETE", path).cookie(&first).send().await;
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(caller(&world, &other).await, "usr_bob@example.com");

    // All others.
    let answer = world
        .ask("DELETE", "/auth/sessions")
        .cookie(&first)
        .send()
        .await;
    assert_eq!(answer.status, 204);
    assert_eq!(caller(&world, &third).await, "anonymous");
    assert_eq!(caller(&world, &first).await, "usr_ann@example.com");

    // The one that asks.
    let path = format!("/auth/sessions/{}", id(&first).await);
    let answer = world.ask("DELETE", &path).cookie(&first).send().await;
    assert!(answer.status == 204 && answer.clears_cookie());
    assert_eq!(caller(&world, &first).await, "anonymous");
}

#[tokio::test]
async fn devices_whose_ending_was_not_answered_are_out_all_the_same() {
    let world = world().await;
    let kept = world.sign_in("ann@example.com").await;
    let lost = world.sign_in("ann@example.com").await;
    assert_eq!(caller(&world, &lost).await, "usr_ann@example.com");
    world.auth.lose_next_answer();
    let answer = world
        .ask("DELETE", "/auth/sessions")
        .cookie(&kept)
        .send()
        .await;
    assert_eq!(answer.status, 503);
    assert_eq!(caller(&world, &lost).await, "anonymous");
    assert_eq!(caller(&world, &kept).await, "usr_ann@example.com");
}

#[tokio::test]
async fn a_cookie_that_a_sign_in_replaced_makes_no_guest() {
    let world = world().await;
    let old = world.sign_in("ann@example.com").await;
    world.auth.replace(&old);
    let item = json!({"sku": "tea", "quantity": 1});
    let late = world
        .ask("POST", "/api/cart/items")
        .cookie(&old)
        .json(&item)
        .send()
        .await;
    assert_eq!(
        (late.status.as_u16(), late.reason().as_str()),
        (401, "SESSION_REPLACED")
    );
    assert!(!late.sets_cookie());
    assert_eq!(world.auth.guests(), 0);
    let read = world.ask("GET", "/api/cart").cookie(&old).send().await;
    assert!(read.status == 200 && !read.sets_cookie());
}

#[tokio::test]
async fn devices_are_for_people() {
    let world = world().await;
    let item = json!({"sku": "tea", "quantity": 1});
    let guest = world
        .ask("POST", "/api/cart/items")
        .json(&item)
        .send()
        .await
        .session()
        .unwrap();
    let id = "/auth/sessions/0193e9c4-7b6a-7000-8000-000000000000";
    for (method, path) in [
        ("GET", "/auth/sessions"),
        ("DELETE", "/auth/sessions"),
        ("DELETE", id),
    ] {
        let answer = world.ask(method, path).send().await;
        assert_eq!(answer.status, 401, "{method} {path}");
        let answer = world.ask(method, path).cookie(&guest).send().await;
        assert_eq!(answer.status, 401, "{method} {path}");
        assert_eq!(answer.reason(), "SESSION_REQUIRED");
    }
}

#[tokio::test]
async fn a_new_password_ends_every_other_session() {
    let world = world().await;
    let ann = world.sign_in("ann@example.com").await;
    let elsewhere = world.sign_in("ann@example.com").await;
    caller(&world, &ann).await;
    caller(&world, &elsewhere).await;
    let wrong = json!({"current_password": "wrong-password", "new_password": "another good one"});
    let answer = world
        .ask("POST", "/auth/password")
        .cookie(&ann)
        .json(&wrong)
        .send()
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_str()),
        (403, "PASSWORD_WRONG")
    );
    assert!(!answer.sets_cookie());

    let right = json!({"current_password": PASSWORD, "new_password": "another good one"});
    let answer = world
        .ask("POST", "/auth/password")
        .cookie(&ann)
        .json(&right)
        .send()
        .await;
    assert_eq!(answer.status, 204);
    let new = answer.session().unwrap();
    assert_eq!(caller(&world, &ann).await, "anonymous");
    assert_eq!(caller(&world, &elsewhere).await, "anonymous");
    assert_eq!(caller(&world, &new).await, "usr_ann@example.com");
}

#[tokio::test]
async fn the_auth_service_hears_where_a_client_really_is() {
    let direct = world().await;
    direct
        .ask("POST", "/auth/login")
        .json(&form("a@b.c"))
        .header("x-forwarded-for", "6.6.6.6")
        .header("user-agent", "Agent/1")
        .send()
        .await;
    let client = direct.auth.clients().pop().unwrap();
    assert_eq!(
        (client.address.as_str(), client.user_agent.as_str()),
        ("127.0.0.1", "Agent/1")
    );

    let proxied = world_with(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    proxied
        .ask("POST", "/auth/login")
        .json(&form("a@b.c"))
        .header("x-forwarded-for", "6.6.6.6, 192.0.2.7")
        .send()
        .await;
    assert_eq!(proxied.auth.clients().pop().unwrap().address, "192.0.2.7");
}
