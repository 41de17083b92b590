//! Signing keys.

use async_trait::async_trait;
use jiff::Timestamp;

use super::rows::{SigningKeyRow, state_text};
use super::{SqliteStore, violates_unique};
use crate::store::{SigningKeyRecord, SigningKeyStore, StoreError};

#[async_trait]
impl SigningKeyStore for SqliteStore {
    async fn load_all(&self) -> Result<Vec<SigningKeyRecord>, StoreError> {
        let rows: Vec<SigningKeyRow> =
            sqlx::query_as("SELECT * FROM signing_keys ORDER BY created_at, kid")
                .fetch_all(self.database.readers())
                .await?;
        rows.into_iter().map(SigningKeyRow::into_record).collect()
    }

    async fn insert_first_active(&self, key: &SigningKeyRecord) -> Result<bool, StoreError> {
        let inserted = sqlx::query(
            "INSERT INTO signing_keys (kid, algorithm, state, public_key, encrypted_private_key, \
                 created_at, activated_at, retiring_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&key.kid)
        .bind(&key.algorithm)
        .bind(state_text(key.state))
        .bind(&key.public_key)
        .bind(&key.encrypted_private_key)
        .bind(key.created_at.as_millisecond())
        .bind(key.activated_at.map(Timestamp::as_millisecond))
        .bind(key.retiring_at.map(Timestamp::as_millisecond))
        .execute(self.database.writer())
        .await;
        match inserted {
            Ok(_) => Ok(true),
            Err(error) if violates_unique(&error, "signing_keys.state") => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
