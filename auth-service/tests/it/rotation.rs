//! Keys that rotate while tokens are made and verified.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use auth_service::{Config, KeyEncryptionKeySource};
use proto::auth::v1::revocation::Target;
use proto::auth::v1::revocation_service_client::RevocationServiceClient;
use proto::auth::v1::watch_response::Event;
use proto::auth::v1::{
    ExchangeSessionResponse, IssueAnonymousTokenRequest, RevokeSigningKeyRequest,
    RotateSigningKeysRequest, WatchRequest, WatchResponse,
};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use token_verifier::{Clock, Expectations, KeySet, Keys, TokenVerifier, VerifyError};
use tokio::time::Instant;
use tonic::{Code, Streaming};

use crate::support::{Auth, Clients, Home, check_refused, free_ports, get};

const JWKS: &str = "/.well-known/jwks.json";
const MAX_AGE: Duration = Duration::from_secs(300);
const PUBLISH_BEFORE: Duration = Duration::from_secs(600);
const RETIRE_AFTER: Duration = Duration::from_secs(360);
const ROTATE_EVERY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn quick(config: &mut Config) {
    config.keys.refresh_every = Duration::from_millis(20);
}

/// Waits for other tasks, not for time: the clock of the services stands still.
async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up_at = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < give_up_at, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn published(http: SocketAddr) -> HashSet<String> {
    let jwks = get(http, JWKS, &[]).await;
    let jwks: serde_json::Value = serde_json::from_slice(&jwks.body).unwrap();
    let keys = jwks["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

async fn anonymous(clients: &mut Clients) -> (String, String) {
    let request = IssueAnonymousTokenRequest {
        audience: "cart-service".to_owned(),
    };
    let answer = clients.tokens.issue_anonymous_token(request).await.unwrap();
    let answer = answer.into_inner();
    (answer.key_id, answer.access_token)
}

async fn signed_by(clients: &mut Clients) -> String {
    anonymous(clients).await.0
}

async fn signs_by_another(clients: &mut Clients, before: &str) -> String {
    eventually("another key signs", async || {
        let kid = signed_by(clients).await;
        (kid != before).then_some(kid)
    })
    .await
}

async fn rotate(auth: &Auth) -> String {
    let mut operator = auth.clients("latchkey").operator;
    let answer = operator
        .rotate_signing_keys(RotateSigningKeysRequest {})
        .await;
    answer.unwrap().into_inner().upcoming.unwrap().kid
}

async fn revoke(auth: &Auth, kid: &str) -> String {
    let mut operator = auth.clients("latchkey").operator;
    let request = RevokeSigningKeyRequest {
        kid: kid.to_owned(),
    };
    let answer = operator.revoke_signing_key(request).await;
    answer.unwrap().into_inner().active.unwrap().kid
}

/// Another instance on the database of this one.
async fn beside(auth: &Auth, change: impl FnOnce(&mut Config)) -> Auth {
    let mut home = Home::new();
    home.clock = auth.home.clock.clone();
    let database = auth.home.path("auth.db");
    let key = KeyEncryptionKeySource::File(auth.home.path("key-encryption.key"));
    Auth::start_in(home, |config| {
        quick(config);
        config.database = database;
        config.key_encryption_key = key;
        change(config);
    })
    .await
}

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_until_what_it_signed_is_over() {
    let auth = Auth::start_in(Home::new(), quick).await;
    let clock = auth.home.clock.clone();
    let mut gateway = auth.gateway();
    let first = signed_by(&mut gateway).await;
    assert_eq!(published(auth.http).await, HashSet::from([first.clone()]));

    clock.advance(ROTATE_EVERY - PUBLISH_BEFORE);
    let second = eventually("the next key is published", async || {
        let kids = published(auth.http).await;
        kids.into_iter().find(|kid| *kid != first)
    })
    .await;
    clock.advance(PUBLISH_BEFORE - Duration::from_secs(1));
    for _ in 0..20 {
        assert_eq!(signed_by(&mut gateway).await, first, "too early");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (_, last_token) = anonymous(&mut gateway).await;
    clock.advance(Duration::from_secs(1));
    assert_eq!(signs_by_another(&mut gateway, &first).await, second);

    clock.advance(Duration::from_secs(59));
    auth.verify("cart-service", &last_token).await;
    clock.advance(RETIRE_AFTER);
    eventually("the old key is gone", async || {
        (published(auth.http).await == HashSet::from([second.clone()])).then_some(())
    })
    .await;
    auth.stop().await;
}

/// A verifier that trusts its copy of the JWKS for as long as it may, and asks for
/// nothing in between.
struct Held {
    keys: KeySet,
    fetched_at: Duration,
}

impl Held {
    async fn fetch(auth: &Auth) -> Self {
        let jwks = get(auth.http, JWKS, &[]).await;
        Self {
            keys: KeySet::from_json(&jwks.body).unwrap(),
            fetched_at: auth.home.clock.monotonic(),
        }
    }

    async fn verify(&mut self, auth: &Auth, token: &ExchangeSessionResponse) {
        if auth.home.clock.monotonic() - self.fetched_at >= MAX_AGE {
            *self = Self::fetch(auth).await;
        }
        let expectations = Expectations {
            issuer: auth.issuer.clone(),
            audience: "cart-service".to_owned(),
        };
        let clock = std::sync::Arc::new(auth.home.clock.clone());
        TokenVerifier::new(expectations, Keys::fixed(self.keys.clone()), clock)
            .verify(&token.access_token)
            .unwrap();
    }
}

#[tokio::test]
async fn twenty_rotations_refuse_no_token() {
    let auth = Auth::start_in(Home::new(), quick).await;
    let mut gateway = auth.gateway();
    let secret = gateway.guest().await.unwrap().session_secret;
    let mut held = Held::fetch(&auth).await;
    let mut kids = vec![signed_by(&mut gateway).await];
    for _ in 0..20 {
        let next = rotate(&auth).await;
        while *kids.last().unwrap() != next {
            // Time passes only in steps, each with tokens before and after.
            auth.home.clock.advance(Duration::from_secs(75));
            for _ in 0..3 {
                let token = gateway.exchange(&secret, "cart-service").await.unwrap();
                held.verify(&auth, &token).await;
                if token.key_id != *kids.last().unwrap() {
                    kids.push(token.key_id);
                }
            }
        }
    }
    let distinct: HashSet<_> = kids.iter().collect();
    assert_eq!((kids.len(), distinct.len()), (21, 21), "no kid comes again");
    auth.stop().await;
}

#[tokio::test]
async fn two_instances_rotate_together_and_one_carries_on() {
    let one = Auth::start_in(Home::new(), |_| {}).await;
    let mut first = one.gateway();
    let before = signed_by(&mut first).await;
    let two = beside(&one, |config| {
        config.keys.refresh_every = Duration::from_secs(1)
    })
    .await;
    let mut second = two.gateway();
    assert_eq!(signed_by(&mut second).await, before);

    let next = rotate(&one).await;
    eventually("both publish the next key", async || {
        published(two.http).await.contains(&next).then_some(())
    })
    .await;
    one.home.clock.advance(PUBLISH_BEFORE);
    let (mut one_signs, mut two_signs) = (None, None);
    let mut token = String::new();
    while one_signs.is_none() || two_signs.is_none() {
        for (clients, since) in [(&mut first, &mut one_signs), (&mut second, &mut two_signs)] {
            let (kid, made) = anonymous(clients).await;
            one.verify("cart-service", &made).await;
            two.verify("cart-service", &made).await;
            token = made;
            if kid == next {
                since.get_or_insert_with(Instant::now);
            }
        }
    }
    let (one_signs, two_signs) = (one_signs.unwrap(), two_signs.unwrap());
    let apart = one_signs.max(two_signs) - one_signs.min(two_signs);
    // A second, and what a busy machine takes for the calls of this loop.
    assert!(apart < Duration::from_secs(3), "{apart:?}");

    let home = one.stop().await;
    two.verify("cart-service", &token).await;
    assert_eq!(signed_by(&mut second).await, next);
    two.stop().await;
    drop(home);
}

#[tokio::test]
async fn a_dropped_key_is_gone_for_good() {
    let auth = Auth::start_in(Home::new(), quick).await;
    let mut gateway = auth.gateway();
    let secret = gateway.guest().await.unwrap().session_secret;
    let before = gateway.exchange(&secret, "cart-service").await.unwrap();
    let active = revoke(&auth, &before.key_id).await;
    assert_eq!(published(auth.http).await, HashSet::from([active.clone()]));
    let after = gateway.exchange(&secret, "cart-service").await.unwrap();
    assert_eq!(
        (&after.key_id, &after.session_id),
        (&active, &before.session_id)
    );
    auth.verify("cart-service", &after.access_token).await;

    let home = auth.stop().await;
    let options = SqliteConnectOptions::new().filename(home.path("auth.db"));
    let mut database = options.connect().await.unwrap();
    let logged: Vec<String> = sqlx::query_scalar("SELECT kid FROM revocations WHERE kind = 'key'")
        .fetch_all(&mut database)
        .await
        .unwrap();
    assert_eq!(logged, std::slice::from_ref(&before.key_id));
    sqlx::Connection::close(database).await.unwrap();

    let auth = Auth::start_in(home, quick).await;
    assert_eq!(published(auth.http).await, HashSet::from([active.clone()]));
    auth.home.clock.advance(ROTATE_EVERY);
    eventually("a rotation", async || {
        (published(auth.http).await.len() > 1).then_some(())
    })
    .await;
    assert!(!published(auth.http).await.contains(&before.key_id));
    let metrics = get(auth.operations, "/metrics", &[]).await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    for name in [
        "latchkey_signing_keys{",
        "latchkey_signing_key_age_seconds{",
    ] {
        assert!(metrics.contains(name), "{metrics}");
    }
    auth.stop().await;
}

async fn watch(auth: &Auth) -> Streaming<WatchResponse> {
    let mut client = RevocationServiceClient::new(auth.signed("cart-service"));
    let request = WatchRequest::default();
    client.watch(request).await.unwrap().into_inner()
}

/// Reads on until the feed has published exactly these keys and, if one is given, said
/// that it is revoked.
async fn hears(feed: &mut Streaming<WatchResponse>, kids: &HashSet<String>, revoked: Option<&str>) {
    let (mut published, mut told) = (false, revoked.is_none());
    while !(published && told) {
        let message = tokio::time::timeout(Duration::from_secs(20), feed.message()).await;
        match message.unwrap().unwrap().unwrap().event.unwrap() {
            Event::KeySet(key_set) => {
                let jwks: serde_json::Value = serde_json::from_slice(&key_set.jwks).unwrap();
                let keys = jwks["keys"].as_array().unwrap().iter();
                let found: HashSet<_> = keys.map(|key| key["kid"].as_str().unwrap()).collect();
                published = found == kids.iter().map(String::as_str).collect();
            }
            Event::Batch(batch) => {
                told |= batch.revocations.iter().any(|entry| {
                    matches!(&entry.target, Some(Target::KeyId(kid)) if Some(&**kid) == revoked)
                });
            }
            Event::Opening(_) | Event::Heartbeat(_) => {}
        }
    }
}

#[tokio::test]
async fn watchers_of_every_instance_hear_of_new_and_of_dropped_keys() {
    let one = Auth::start_in(Home::new(), quick).await;
    let first = signed_by(&mut one.gateway()).await;
    let two = beside(&one, |_| {}).await;
    let mut feeds = [watch(&one).await, watch(&two).await];
    let second = rotate(&one).await;
    for feed in &mut feeds {
        hears(feed, &HashSet::from([first.clone(), second.clone()]), None).await;
    }
    assert_eq!(revoke(&two, &first).await, second, "the upcoming one signs");
    for feed in &mut feeds {
        hears(feed, &HashSet::from([second.clone()]), Some(&first)).await;
    }
    let home = one.stop().await;
    two.stop().await;
    drop(home);
}

#[tokio::test]
async fn another_key_encryption_key_signs_nobody_out() {
    let auth = Auth::start_in(Home::new(), quick).await;
    let mut gateway = auth.gateway();
    let secret = gateway.guest().await.unwrap().session_secret;
    let before = gateway.exchange(&secret, "cart-service").await.unwrap();
    let jwks = get(auth.http, JWKS, &[]).await.body;
    let home = auth.stop().await;
    let (old, new) = (home.path("key-encryption.key"), home.path("new.key"));

    let auth = Auth::start_in(home, |config| {
        config.key_encryption_key = KeyEncryptionKeySource::File(new.clone());
        config.previous_key_encryption_key_files = vec![old.clone()];
    })
    .await;
    assert_eq!(get(auth.http, JWKS, &[]).await.body, jwks);
    auth.verify("cart-service", &before.access_token).await;
    let home = auth.stop().await;

    std::fs::remove_file(&old).unwrap();
    let alone = KeyEncryptionKeySource::File(new.clone());
    let auth = Auth::start_in(home, |config| config.key_encryption_key = alone).await;
    let after = auth.gateway().exchange(&secret, "cart-service").await;
    let after = after.unwrap();
    assert_eq!(
        (after.session_id, after.key_id),
        (before.session_id, before.key_id)
    );
    auth.stop().await;
}

#[tokio::test]
async fn a_previous_key_encryption_key_that_nobody_needs_may_be_missing() {
    let home = Home::new();
    let lost = home.path("lost.key");
    let auth = Auth::start_in(home, |config| {
        config.previous_key_encryption_key_files = vec![lost.clone()];
    })
    .await;
    signed_by(&mut auth.gateway()).await;
    assert!(!lost.exists(), "none is made in its place");
    auth.stop().await;
}

/// An instance that still has the old key-encryption key alone goes on while it can do
/// no harm, and then says 503 rather than sign what nobody can verify.
#[tokio::test]
async fn an_instance_left_behind_never_signs_what_nobody_verifies() {
    // Three seconds beyond what a token's life and the clocks take: real ones, while the
    // clock of the services stands still.
    let short = |config: &mut Config| {
        quick(config);
        config.keys.retire_after = config.access_token_ttl + Duration::from_secs(8);
    };
    let old = Auth::start_in(Home::new(), short).await;
    let mut behind = old.gateway();
    let first = signed_by(&mut behind).await;
    let old_key = old.home.path("key-encryption.key");
    let new = beside(&old, |config| {
        short(config);
        config.key_encryption_key =
            KeyEncryptionKeySource::File(config.database.with_extension("new"));
        config.previous_key_encryption_key_files = vec![old_key];
    })
    .await;
    let mut ahead = new.gateway();
    assert_eq!(signed_by(&mut ahead).await, first);

    rotate(&new).await;
    old.home.clock.advance(PUBLISH_BEFORE);
    let second = signs_by_another(&mut ahead, &first).await;
    eventually("both publish both", async || {
        (published(old.http).await.len() == 2).then_some(())
    })
    .await;
    let (kid, token) = anonymous(&mut behind).await;
    assert_eq!(kid, first);
    new.verify("cart-service", &token).await;

    // It stops while the key is still published, and what it signed last is good to its end.
    let request = IssueAnonymousTokenRequest {
        audience: "cart-service".to_owned(),
    };
    let mut last = token;
    let refused = eventually("it stops", async || {
        match behind.tokens.issue_anonymous_token(request.clone()).await {
            Ok(answer) => {
                last = answer.into_inner().access_token;
                None
            }
            Err(refused) => Some(refused),
        }
    })
    .await;
    for _ in 0..13 {
        new.verify("cart-service", &last).await;
        old.home.clock.advance(Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let expired = new.verifier("cart-service").await.verify(&last);
    assert!(matches!(expired, Err(VerifyError::Expired)), "{expired:?}");
    check_refused(
        Err::<(), _>(refused),
        Code::Unavailable,
        "SIGNING_UNAVAILABLE",
    );
    assert_eq!(signed_by(&mut ahead).await, second);
    eventually("nobody is sent to it", async || {
        (get(old.operations, "/readyz", &[]).await.status != 200).then_some(())
    })
    .await;
    let home = old.stop().await;
    new.stop().await;
    drop(home);
}

#[tokio::test]
async fn a_weak_public_key_in_a_row_refuses_to_start() {
    let auth = Auth::start().await;
    published(auth.http).await;
    let home = auth.stop().await;
    let options = SqliteConnectOptions::new().filename(home.path("auth.db"));
    let mut database = options.connect().await.unwrap();
    sqlx::query("UPDATE signing_keys SET public_key = zeroblob(32)")
        .execute(&mut database)
        .await
        .unwrap();
    sqlx::Connection::close(database).await.unwrap();
    let clock = std::sync::Arc::new(home.clock.clone());
    let stop = tokio_util::sync::CancellationToken::new();
    let refused = auth_service::serve(home.config(), free_ports().await, clock, stop).await;
    let refused = format!("{:?}", refused.unwrap_err());
    assert!(refused.contains("Weak"), "{refused}");
}
