use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use auth_service::key_encryption::KeyEncryptionKeyError;
use auth_service::{Config, ServeError, serve};
use token_verifier::Clock;
use tokio_util::sync::CancellationToken;

use crate::support::{Auth, Home, free_ports, get};

async fn refused(home: &Home, config: Config) -> ServeError {
    let clock: Arc<dyn Clock> = Arc::new(home.clock.clone());
    serve(config, free_ports().await, clock, CancellationToken::new())
        .await
        .unwrap_err()
}

#[tokio::test]
async fn the_first_start_makes_files_for_their_owner_alone() {
    let auth = Auth::start().await;
    get(auth.http, "/.well-known/jwks.json", &[]).await;
    let home = auth.stop().await;
    for name in ["key-encryption.key", "auth.db"] {
        let mode = std::fs::metadata(home.path(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_key_that_others_can_read_refuses_to_start() {
    let home = Home::new();
    let path = home.path("key-encryption.key");
    std::fs::write(&path, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = refused(&home, home.config()).await;
    let exposed = KeyEncryptionKeyError::Exposed {
        path: path.clone(),
        mode: 0o644,
    };
    assert!(
        matches!(&error, ServeError::KeyEncryptionKey(inner) if inner.to_string() == exposed.to_string()),
        "{error:?}"
    );
    assert!(!home.path("auth.db").exists(), "nothing was made");
}

#[tokio::test]
async fn a_malformed_key_refuses_to_start() {
    let home = Home::new();
    let path = home.path("key-encryption.key");
    std::fs::write(&path, "hunter2").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let error = refused(&home, home.config()).await;
    assert!(
        matches!(error, ServeError::KeyEncryptionKey(_)),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_database_that_is_none_refuses_to_start() {
    let home = Home::new();
    std::fs::write(
        home.path("auth.db"),
        "this is not a database, whatever its name",
    )
    .unwrap();
    let error = refused(&home, home.config()).await;
    assert!(matches!(error, ServeError::Store(_)), "{error:?}");
}

#[tokio::test]
async fn two_workloads_with_one_key_refuse_to_start() {
    let home = Home::new();
    let mut config = home.config();
    let mut twin = config.workloads[0].clone();
    twin.name = "twin".to_owned();
    config.workloads.push(twin);
    let error = refused(&home, config).await;
    assert!(matches!(error, ServeError::Workloads(_)), "{error:?}");
}
