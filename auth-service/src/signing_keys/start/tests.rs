use super::*;
use crate::entropy::OsEntropy;
use crate::fixtures::start;
use crate::key_encryption::KeyEncryptionKey;
use crate::store::sqlite::SqliteStore;

/// Three key-encryption keys; a ring is made of copies.
struct Keys([secrecy::SecretString; 3]);

impl Keys {
    fn new() -> Self {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        Self([1_u8, 2, 3].map(|byte| URL_SAFE_NO_PAD.encode([byte; 32]).into()))
    }

    fn key(&self, index: usize) -> KeyEncryptionKey {
        KeyEncryptionKey::parse(&self.0[index]).unwrap()
    }

    fn ring(&self, current: usize, previous: &[usize]) -> KeyRing {
        let previous = previous.iter().map(|index| self.key(*index)).collect();
        KeyRing::new(self.key(current), previous)
    }
}

async fn store() -> (tempfile::TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let store = SqliteStore::open(&path).await.unwrap();
    (directory, store)
}

async fn signs(store: &SqliteStore, ring: &KeyRing) -> Result<String, StartError> {
    let keys = load_or_create(store, ring, start()).await?;
    Ok(keys.signer().unwrap().kid().to_owned())
}

#[tokio::test]
async fn keys_live_on_under_another_key_encryption_key() {
    let (_directory, store) = store().await;
    let keys = Keys::new();
    let first = signs(&store, &keys.ring(0, &[])).await.unwrap();
    let (_, upcoming) =
        SigningKey::generate(&keys.ring(0, &[]), SigningKeyState::Upcoming, start()).unwrap();
    assert!(store.insert_upcoming(&upcoming, &first, 9).await.unwrap());
    assert_eq!(signs(&store, &keys.ring(1, &[0])).await.unwrap(), first);
    for record in store.load_all().await.unwrap() {
        let alone = keys.ring(1, &[]);
        assert!(alone.is_current(&record.encrypted_private_key).unwrap());
        super::super::open(&record, &alone).unwrap();
    }
    assert_eq!(
        signs(&store, &keys.ring(1, &[])).await.unwrap(),
        first,
        "the old key is not needed any more"
    );
}

#[tokio::test]
async fn a_missing_key_encryption_key_refuses_and_is_named() {
    let (_directory, store) = store().await;
    let keys = Keys::new();
    let first = signs(&store, &keys.ring(0, &[])).await.unwrap();
    let before = store.load_all().await.unwrap();
    let refused = signs(&store, &keys.ring(1, &[2])).await.unwrap_err();
    let text = refused.to_string();
    for name in [first.as_str(), keys.key(0).kid(), keys.key(1).kid()] {
        assert!(text.contains(name), "{text}");
    }
    assert!(text.contains("previous_key_encryption_key_files"), "{text}");
    assert_eq!(store.load_all().await.unwrap(), before);
}

#[tokio::test]
async fn only_the_active_key_must_be_readable() {
    let (_directory, store) = store().await;
    let keys = Keys::new();
    let (ours, lost) = (keys.ring(0, &[]), keys.ring(2, &[]));
    let first = signs(&store, &lost).await.unwrap();
    let (_, second) = SigningKey::generate(&ours, SigningKeyState::Upcoming, start()).unwrap();
    assert!(store.insert_upcoming(&second, &first, 9).await.unwrap());
    let second = second.kid;
    let taken = store.activate_key(&second, Some(&first), start()).await;
    assert!(taken.unwrap());
    let (_, third) = SigningKey::generate(&lost, SigningKeyState::Upcoming, start()).unwrap();
    assert!(store.insert_upcoming(&third, &second, 9).await.unwrap());

    let started = load_or_create(&store, &keys.ring(1, &[0]), start()).await;
    let started = started.unwrap();
    assert_eq!(started.signer().unwrap().kid(), second);
    let jwks = String::from_utf8_lossy(started.jwks().body()).into_owned();
    for kid in [&first, &second, &third.kid] {
        assert!(jwks.contains(kid.as_str()), "{jwks}");
    }
    assert_eq!(signs(&store, &keys.ring(1, &[])).await.unwrap(), second);
}

#[tokio::test]
async fn of_two_programs_with_the_new_key_both_start() {
    let (_directory, store) = store().await;
    let keys = Keys::new();
    let first = signs(&store, &keys.ring(0, &[])).await.unwrap();
    let (one, two) = (keys.ring(1, &[0]), keys.ring(1, &[0]));
    let (one, two) = tokio::join!(signs(&store, &one), signs(&store, &two));
    assert_eq!((one.unwrap(), two.unwrap()), (first.clone(), first));
}

#[tokio::test]
async fn a_damaged_private_key_refuses_and_changes_nothing() {
    let (_directory, store) = store().await;
    let keys = Keys::new();
    let first = signs(&store, &keys.ring(0, &[])).await.unwrap();
    let before = store.load_all().await.unwrap()[0]
        .encrypted_private_key
        .clone();
    let damaged = Reencrypted {
        kid: first,
        after: format!("{}A", &before[..before.len() - 1]),
        before,
    };
    let changed = damaged.after != damaged.before;
    assert!(store.reencrypt(&[damaged]).await.unwrap());
    let refused = signs(&store, &keys.ring(1, &[0])).await;
    assert!(
        !changed || matches!(refused, Err(StartError::Keys(_))),
        "{refused:?}"
    );
}

#[test]
fn a_new_key_is_like_no_other() {
    let ring = KeyRing::from(KeyEncryptionKey::generate(&OsEntropy));
    let kids: std::collections::HashSet<String> = (0..100)
        .map(|_| SigningKey::generate(&ring, SigningKeyState::Upcoming, start()).unwrap())
        .map(|(key, _)| key.kid().to_owned())
        .collect();
    assert_eq!(kids.len(), 100);
}
