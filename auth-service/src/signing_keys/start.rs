//! Signing keys at the start of the program: those in the store, or the first one.

use jiff::Timestamp;
use thiserror::Error;

use super::{SigningKey, SigningKeyError, SigningKeys};
use crate::key_encryption::KeyEncryptionKey;
use crate::store::{SigningKeyState, SigningKeyStore, StoreError};

/// Why there are no signing keys.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store could not answer.
    #[error("the signing keys cannot be read")]
    Store(#[from] StoreError),
    /// The store answered, and its keys cannot be used.
    #[error("the signing keys cannot be used")]
    Keys(#[from] SigningKeyError),
}

/// Loads all keys and decrypts the active one, which is made first if there is none.
///
/// Of several programs that start on one empty store, one makes the key and all load that one.
pub async fn load_or_create(
    store: &dyn SigningKeyStore,
    key_encryption_key: &KeyEncryptionKey,
    now: Timestamp,
) -> Result<SigningKeys, StartError> {
    let mut records = store.load_all().await?;
    if !records
        .iter()
        .any(|record| record.state == SigningKeyState::Active)
    {
        let (key, record) = SigningKey::generate(key_encryption_key, SigningKeyState::Active, now)?;
        if store.insert_first_active(&record).await? {
            tracing::info!(token.kid = key.kid(), "made signing key {}", key.kid());
        }
        // Not what was just made: another program may have been first.
        records = store.load_all().await?;
    }
    Ok(SigningKeys::from_records(&records, key_encryption_key)?)
}
