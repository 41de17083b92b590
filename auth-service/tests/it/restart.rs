use std::sync::Arc;

use auth_service::{KeyEncryptionKeySource, ServeError, serve};
use token_verifier::Clock;
use tokio_util::sync::CancellationToken;

use crate::support::{Auth, Home, files, free_ports, get};

const JWKS: &str = "/.well-known/jwks.json";

#[tokio::test]
async fn sessions_and_keys_survive_a_restart() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let secret = gateway
        .register("ada@example.com")
        .await
        .session
        .unwrap()
        .session_secret;
    let before = gateway.exchange(&secret, "cart-service").await.unwrap();
    let jwks = get(auth.http, JWKS, &[]).await;

    let auth = Auth::start_in(auth.stop().await, |_| {}).await;
    assert_eq!(get(auth.http, JWKS, &[]).await.body, jwks.body);
    auth.verify("cart-service", &before.access_token).await;
    let after = auth
        .gateway()
        .exchange(&secret, "cart-service")
        .await
        .unwrap();
    assert_eq!(
        (after.session_id, after.subject),
        (before.session_id, before.subject)
    );
    auth.stop().await;
}

#[tokio::test]
async fn two_services_on_one_database_agree_on_the_key() {
    let home = Home::new();
    let (config, clock) = (home.config(), home.clock.clone());
    let stop = CancellationToken::new();
    let start = async |listeners: auth_service::Listeners| {
        let address = listeners.http.local_addr().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        (
            address,
            tokio::spawn(serve(config.clone(), listeners, clock, stop.clone())),
        )
    };
    let ((one, first), (two, second)) =
        tokio::join!(start(free_ports().await), start(free_ports().await));
    let (one, two) = (get(one, JWKS, &[]).await, get(two, JWKS, &[]).await);
    assert_eq!(one.body, two.body);
    stop.cancel();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn another_key_encryption_key_refuses_to_start() {
    let home = Auth::start_in(Home::new(), |_| {}).await;
    get(home.http, JWKS, &[]).await;
    let home = home.stop().await;
    let mut config = home.config();
    let other = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".into();
    config.key_encryption_key = KeyEncryptionKeySource::Value(other);
    let clock: Arc<dyn Clock> = Arc::new(home.clock.clone());
    let refused = serve(config, free_ports().await, clock, CancellationToken::new()).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, ServeError::SigningKeys(_)), "{error:?}");
    let mut chain = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        chain.push_str(&format!("{error}\n"));
        cause = error.source();
    }
    assert!(
        chain.contains("was encrypted under key-encryption key"),
        "{chain}"
    );
    Auth::start_in(home, |_| {}).await.stop().await;
}

#[tokio::test]
async fn no_secret_rests_in_the_files() {
    let auth = Auth::start().await;
    let mut gateway = auth.gateway();
    let secret = gateway
        .register("ada@example.com")
        .await
        .session
        .unwrap()
        .session_secret;
    let guest = gateway.guest().await.unwrap().session_secret;
    let token = gateway
        .exchange(&secret, "cart-service")
        .await
        .unwrap()
        .access_token;
    let home = auth.stop().await;
    let written = files(home.directory.path());
    for needle in [secret.as_str(), &guest, &token, crate::support::PASSWORD] {
        let found = written
            .windows(needle.len())
            .any(|window| window == needle.as_bytes());
        assert!(!found, "{needle}");
    }
    // The prefix of every Ed25519 private key in PKCS#8 (RFC 8410, 7).
    let pkcs8 = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    assert!(!written.windows(pkcs8.len()).any(|window| window == pkcs8));
}
