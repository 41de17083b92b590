//! Signing keys at the start of the program: those in the store, or the first one.

use jiff::Timestamp;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{SigningKey, SigningKeyError, SigningKeys};
use crate::key_encryption::{DecryptError, EncryptError, KeyRing};
use crate::store::{Reencrypted, SigningKeyRecord, SigningKeyState, SigningKeyStore, StoreError};

/// Other instances that start with another key-encryption key at the same moment get in
/// between so often at most.
const MAX_TRIES: u32 = 10;

/// Why there are no signing keys.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store could not answer.
    #[error("the signing keys cannot be read")]
    Store(#[from] StoreError),
    /// The store answered, and its keys cannot be used.
    #[error("the signing keys cannot be used")]
    Keys(#[from] SigningKeyError),
    /// The active one is under a key-encryption key that nobody gave.
    #[error(
        "signing key {kid} was encrypted under key-encryption key {found}: neither the \
         configured key-encryption key {current} nor a previous one \
         (previous_key_encryption_key_files)"
    )]
    KeyEncryptionKeyMissing {
        /// The configured key's id.
        current: String,
        /// The signing key.
        kid: String,
        /// The id of the key that it is encrypted under.
        found: String,
    },
    /// They changed whenever they were about to be encrypted anew.
    #[error("other programs keep changing the signing keys")]
    Contended,
}

/// Loads all keys and decrypts the active one, which is made first if there is none.
/// What is under a previous key-encryption key is under the current one afterwards.
///
/// Of several programs that start on one empty store, one makes the key and all load that one.
pub async fn load_or_create(
    store: &dyn SigningKeyStore,
    key_ring: &KeyRing,
    now: Timestamp,
) -> Result<SigningKeys, StartError> {
    let mut records = reencrypted(store, key_ring).await?;
    if !records
        .iter()
        .any(|record| record.state == SigningKeyState::Active)
    {
        let (key, record) = SigningKey::generate(key_ring, SigningKeyState::Active, now)?;
        if store.insert_first_active(&record).await? {
            tracing::info!(
                event = "key.created",
                token.kid = key.kid(),
                "made signing key {}",
                key.kid()
            );
        }
        // Not what was just made: another program may have been first.
        records = store.load_all().await?;
    }
    Ok(SigningKeys::from_records(&records, key_ring)?)
}

/// All keys, when what signs or will sign is under the current key-encryption key.
async fn reencrypted(
    store: &dyn SigningKeyStore,
    key_ring: &KeyRing,
) -> Result<Vec<SigningKeyRecord>, StartError> {
    for _ in 0..MAX_TRIES {
        let records = store.load_all().await?;
        let changes = changes(&records, key_ring)?;
        if changes.is_empty() {
            return Ok(records);
        }
        if store.reencrypt(&changes).await? {
            tracing::info!(
                event = "key.reencrypted",
                keys = changes.len(),
                "{} signing keys are under key-encryption key {} now",
                changes.len(),
                key_ring.current().kid()
            );
        }
    }
    Err(StartError::Contended)
}

/// What is to be encrypted anew. Nobody needs a retiring key's private half again, and
/// an upcoming one that cannot be read keeps nobody from signing until then.
fn changes(
    records: &[SigningKeyRecord],
    key_ring: &KeyRing,
) -> Result<Vec<Reencrypted>, StartError> {
    let mut changes = Vec::new();
    let needed = |record: &&SigningKeyRecord| record.state != SigningKeyState::Retiring;
    for record in records.iter().filter(needed) {
        match under_current(record, key_ring) {
            Ok(None) => {}
            Ok(Some(after)) => changes.push(Reencrypted {
                kid: record.kid.clone(),
                before: record.encrypted_private_key.clone(),
                after: after.map_err(SigningKeyError::from)?,
            }),
            Err(error) if record.state == SigningKeyState::Active => {
                return Err(refusal(record, key_ring, error));
            }
            Err(error) => tracing::error!(
                event = "key.unusable",
                token.kid = record.kid,
                error = &error as &dyn std::error::Error,
                "signing key {kid} cannot be decrypted and will not sign here: give its \
                 key-encryption key, or drop it with `latchkey keys revoke {kid}`",
                kid = record.kid
            ),
        }
    }
    Ok(changes)
}

fn refusal(active: &SigningKeyRecord, key_ring: &KeyRing, error: DecryptError) -> StartError {
    let kid = active.kid.clone();
    match error {
        DecryptError::OtherKey { found, .. } => StartError::KeyEncryptionKeyMissing {
            current: key_ring.current().kid().to_owned(),
            kid,
            found,
        },
        source => SigningKeyError::Decryption { kid, source }.into(),
    }
}

/// The JWE that takes the place of this key's, unless it is under the current key.
fn under_current(
    record: &SigningKeyRecord,
    key_ring: &KeyRing,
) -> Result<Option<Result<String, EncryptError>>, DecryptError> {
    if key_ring.is_current(&record.encrypted_private_key)? {
        return Ok(None);
    }
    let private_key: Zeroizing<Vec<u8>> = key_ring.decrypt(&record.encrypted_private_key)?;
    Ok(Some(key_ring.encrypt(&private_key)))
}

#[cfg(test)]
mod tests;
