//! What an operator commands, at a running system: it holds everywhere within the bound.

use std::fs;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::running::{BOUND, Latchkey, Outcome, PATIENCE, run, within};

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";
const EMAIL: &str = "ada@example.com";
const CREDENTIALS: &str = r#"{"email":"ada@example.com","password":"correct horse battery"}"#;

/// One part of a token, unverified.
fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn kid_of(token: &str) -> String {
    part(token, 0)["kid"].as_str().unwrap().to_owned()
}

fn claim(token: &str, name: &str) -> String {
    part(token, 1)[name].as_str().unwrap().to_owned()
}

/// How many lines the cart has of whoever has this cookie.
async fn lines(latchkey: &Latchkey, cookie: &str) -> usize {
    let cart = latchkey.browse("GET /api/cart", cookie, "").await;
    assert_eq!(cart.status, 200, "{}", cart.body);
    let lines = &cart.json()["lines"];
    lines.as_array().map_or(0, Vec::len)
}

#[track_caller]
fn check_fails(outcome: &Outcome, code: i32, says: &str) {
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    assert!(outcome.stderr.contains(says), "{outcome:?}");
    assert_eq!(outcome.stdout, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_opens_nothing_any_more() {
    let latchkey = Latchkey::start().await;
    let (token, other) = (latchkey.guest_token(), latchkey.guest_token());
    latchkey.get_cart(&token).await.unwrap();
    let sid = claim(&token, "sid");
    let revoke = ["sessions", "revoke", "--id", &sid];
    assert_eq!(
        latchkey.prints(&revoke),
        format!("session {sid} is revoked")
    );
    latchkey.becomes_refused(&token).await;
    latchkey.get_cart(&other).await.unwrap();
    check_fails(&latchkey.run(&revoke), 3, "SESSION_NOT_FOUND");

    let subject = claim(&other, "sub");
    let revoke = ["sessions", "revoke", "--subject", &subject];
    let expected = format!("every token of {subject} is revoked; sessions ended: 1");
    assert_eq!(latchkey.prints(&revoke), expected);
    latchkey.becomes_refused(&other).await;
}

/// KR-02.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_and_its_successor_is_not() {
    let latchkey = Latchkey::start().await;
    let keys = || -> Vec<Value> {
        serde_json::from_str(&latchkey.prints(&["keys", "list", "--json"])).unwrap()
    };
    let token = latchkey.guest_token();
    latchkey.get_cart(&token).await.unwrap();
    within(PATIENCE, "saved keys for the next start", async || {
        fs::read(latchkey.path("jwks/cart-service.json")).ok()
    })
    .await;
    let stolen = kid_of(&token);
    assert_eq!(
        (keys().len(), &keys()[0]["kid"]),
        (1, &stolen.as_str().into())
    );

    let rotated = latchkey.prints(&["keys", "rotate"]);
    let upcoming = rotated.split(' ').next().unwrap().to_owned();
    assert!(
        rotated.contains(" is published and signs from 2"),
        "{rotated}"
    );
    let again = latchkey.prints(&["keys", "rotate"]);
    assert!(again.starts_with(&upcoming), "{again} after {rotated}");
    assert_eq!(
        kid_of(&latchkey.guest_token()),
        stolen,
        "published, not signing"
    );
    let table = latchkey.prints(&["keys", "list"]);
    assert!(table.starts_with("KID "), "{table}");
    assert_eq!(table.lines().count(), 3, "{table}");

    let revoked = latchkey.prints(&["keys", "revoke", &stolen]);
    let expected = format!("{stolen} is revoked; {upcoming} signs");
    assert_eq!(revoked, expected);
    latchkey.becomes_refused(&token).await;
    let token = latchkey.guest_token();
    assert_eq!(kid_of(&token), upcoming);
    latchkey.get_cart(&token).await.unwrap();

    // And where verifiers never heard of the next one: the feed tells them.
    let revoked = latchkey.prints(&["keys", "revoke", &upcoming]);
    latchkey.becomes_refused(&token).await;
    let token = latchkey.guest_token();
    assert!(revoked.ends_with(&format!("{} signs", kid_of(&token))));
    within(BOUND, "a cart under the new key", async || {
        latchkey.get_cart(&token).await.ok()
    })
    .await;
    check_fails(
        &latchkey.run(&["keys", "revoke", &stolen]),
        3,
        "KEY_NOT_FOUND",
    );
}

/// CS-08, LP-02.
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_is_signed_out_and_stays_out() {
    let latchkey = Latchkey::start().await;
    let registered = latchkey
        .browse("POST /auth/register", "", CREDENTIALS)
        .await;
    assert_eq!(registered.status, 201, "{}", registered.body);
    let cookie = registered.cookie();
    let item = r#"{"sku":"brass-key","quantity":2}"#;
    let added = latchkey.browse("POST /api/cart/items", &cookie, item).await;
    assert_eq!(added.status, 200, "{}", added.body);
    assert_eq!(lines(&latchkey, &cookie).await, 1);
    let subject = registered.json()["user"]["subject"]
        .as_str()
        .unwrap()
        .to_owned();

    let disabled = latchkey.prints(&["accounts", "disable", "--email", EMAIL]);
    assert_eq!(
        disabled,
        format!("{subject} is disabled; sessions ended: 1")
    );
    within(BOUND, "signed-out answer", async || {
        let session = latchkey.browse("GET /auth/session", &cookie, "").await;
        assert_eq!(session.status, 200, "{}", session.body);
        (session.json()["authenticated"] == false).then_some(())
    })
    .await;
    // Nor is the token used that the gateway had cached.
    assert_eq!(lines(&latchkey, &cookie).await, 0);
    let wrong = CREDENTIALS.replace("battery", "staple");
    let wrong = latchkey.browse("POST /auth/login", "", &wrong).await;
    let right = latchkey.browse("POST /auth/login", "", CREDENTIALS).await;
    assert_eq!((right.status, wrong.status), (401, 401), "{}", right.body);
    assert_eq!(right.json()["reason"], wrong.json()["reason"]);

    let enabled = latchkey.prints(&["accounts", "enable", "--subject", &subject]);
    assert_eq!(enabled, format!("{subject} may sign in"));
    let back = latchkey.browse("POST /auth/login", "", CREDENTIALS).await;
    assert_eq!(back.status, 200, "{}", back.body);
    assert_eq!(lines(&latchkey, &back.cookie()).await, 1);
    let nobody = ["accounts", "disable", "--email", "nobody@example.com"];
    check_fails(&latchkey.run(&nobody), 3, "ACCOUNT_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_system_is_reached_by_address_and_key() {
    let latchkey = Latchkey::start().await;
    let address = format!("http://{}", latchkey.address("auth_grpc"));
    let command = |name: &str, key: &str, words: &[&str]| {
        let key = latchkey.path(&format!("workloads/{key}.pem"));
        let connection = [
            "--auth-address",
            &address,
            "--workload-name",
            name,
            "--workload-key",
            key.to_str().unwrap(),
        ];
        run(&[words, &connection].concat())
    };
    let list = ["keys", "list"];
    assert_eq!(command("latchkey", "latchkey", &list).code, Some(0));
    let token = ["token", "--guest", "--audience", "cart-service"];
    let token = command("latchkey", "latchkey", &token);
    latchkey.get_cart(token.stdout.trim_end()).await.unwrap();
    let gateway = command("gateway", "gateway", &list);
    check_fails(&gateway, 1, "WORKLOAD_NOT_ALLOWED");
    let stolen_name = command("latchkey", "gateway", &list);
    check_fails(&stolen_name, 1, "WORKLOAD_UNAUTHENTICATED");
    let absent = command("latchkey", "nobody", &list);
    check_fails(&absent, 1, "nobody.pem");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_apart_by_the_exit_code() {
    let latchkey = Latchkey::start().await;
    let malformed = ["sessions", "revoke", "--id", "nonsense"];
    check_fails(&latchkey.run(&malformed), 1, "session_id must be a UUID");
    let service = ["sessions", "revoke", "--subject", "svc_gateway"];
    check_fails(&latchkey.run(&service), 1, "subject must be usr_ or gst_");
    let unknown = ["sessions", "revoke", "--id", NOBODY];
    check_fails(
        &latchkey.run(&unknown),
        3,
        "there is no session with this id",
    );
    let kid = ["keys", "revoke", "--", "-short"];
    check_fails(&run(&kid), 1, "no data directory at .latchkey");
    check_fails(
        &latchkey.run(&["keys", "revoke", "short"]),
        1,
        "kid must be 43",
    );
    check_fails(&latchkey.run(&["accounts", "disable"]), 2, "--email");
    let key = latchkey.path("workloads/latchkey.pem");
    let list_at = |address| {
        let key = key.to_str().unwrap();
        let list = ["keys", "list", "--workload-key", key];
        run(&[&list[..], &["--auth-address", address]].concat())
    };
    let away = list_at("http://127.0.0.1:1");
    check_fails(&away, 4, "no answer from the auth service");
    check_fails(&list_at("localhost"), 1, "is not an address");
}
