//! Signing keys.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::revocations::append;
use super::rows::{SigningKeyRow, state_text};
use super::{SqliteStore, violates_unique};
use crate::revocations::NewRevocation;
use crate::store::{
    KeyRevoked, Reencrypted, SigningKeyRecord, SigningKeyState, SigningKeyStore, StoreError,
};

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
        let mut transaction = self.database.write().await?;
        match insert(&mut transaction, key).await {
            Ok(()) => {}
            Err(error) if violates_unique(&error, "signing_keys.state") => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        transaction.commit().await?;
        Ok(true)
    }

    async fn insert_upcoming(
        &self,
        key: &SigningKeyRecord,
        active: &str,
        at_most: usize,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.database.write().await?;
        let (upcoming, expected, all): (i64, i64, i64) = sqlx::query_as(
            "SELECT count(*) FILTER (WHERE state = 'upcoming'), \
                 count(*) FILTER (WHERE state = 'active' AND kid = ?), count(*) \
             FROM signing_keys",
        )
        .bind(active)
        .fetch_one(&mut *transaction)
        .await?;
        if upcoming > 0 || expected != 1 || all.unsigned_abs() >= at_most as u64 {
            return Ok(false);
        }
        insert(&mut transaction, key).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn activate_key(
        &self,
        kid: &str,
        retires: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.database.write().await?;
        // First, or the index would see two active keys.
        if let Some(retires) = retires
            && !retire(&mut transaction, retires, now).await?
        {
            return Ok(false);
        }
        match activate(&mut transaction, kid, now).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) if violates_unique(&error, "signing_keys.state") => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        transaction.commit().await?;
        Ok(true)
    }

    async fn delete_retiring(&self, kid: &str) -> Result<bool, StoreError> {
        let deleted = sqlx::query("DELETE FROM signing_keys WHERE kid = ? AND state = 'retiring'")
            .bind(kid)
            .execute(self.database.writer())
            .await?;
        Ok(deleted.rows_affected() == 1)
    }

    async fn revoke_key(
        &self,
        kid: &str,
        replacement: &SigningKeyRecord,
        now: Timestamp,
    ) -> Result<KeyRevoked, StoreError> {
        let mut transaction = self.database.write().await?;
        let deleted = sqlx::query("DELETE FROM signing_keys WHERE kid = ?")
            .bind(kid)
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() == 0 {
            return Ok(KeyRevoked::NotFound);
        }
        append(&mut transaction, &NewRevocation::key(kid.to_owned(), now)).await?;
        let active = ensure_active(&mut transaction, replacement, now).await?;
        self.commit(transaction).await?;
        Ok(KeyRevoked::Done { active })
    }

    async fn reencrypt(&self, keys: &[Reencrypted]) -> Result<bool, StoreError> {
        let mut transaction = self.database.write().await?;
        for key in keys {
            let changed = sqlx::query(
                "UPDATE signing_keys SET encrypted_private_key = ? \
                 WHERE kid = ? AND encrypted_private_key = ?",
            )
            .bind(&key.after)
            .bind(&key.kid)
            .bind(&key.before)
            .execute(&mut *transaction)
            .await?;
            if changed.rows_affected() != 1 {
                return Ok(false);
            }
        }
        transaction.commit().await?;
        Ok(true)
    }
}

/// The active key as it is, or the one that becomes it.
async fn ensure_active(
    connection: &mut SqliteConnection,
    replacement: &SigningKeyRecord,
    now: Timestamp,
) -> Result<SigningKeyRecord, StoreError> {
    if let Some(active) = first_in(connection, SigningKeyState::Active).await? {
        return Ok(active);
    }
    match first_in(connection, SigningKeyState::Upcoming).await? {
        Some(upcoming) => {
            activate(connection, &upcoming.kid, now).await?;
        }
        None => insert(connection, replacement).await?,
    }
    first_in(connection, SigningKeyState::Active)
        .await?
        .ok_or_else(|| StoreError::Internal("no key became active".into()))
}

/// The oldest key in this state.
async fn first_in(
    connection: &mut SqliteConnection,
    state: SigningKeyState,
) -> Result<Option<SigningKeyRecord>, StoreError> {
    let row: Option<SigningKeyRow> = sqlx::query_as(
        "SELECT * FROM signing_keys WHERE state = ? ORDER BY created_at, kid LIMIT 1",
    )
    .bind(state_text(state))
    .fetch_optional(connection)
    .await?;
    row.map(SigningKeyRow::into_record).transpose()
}

async fn insert(
    connection: &mut SqliteConnection,
    key: &SigningKeyRecord,
) -> Result<(), sqlx::Error> {
    sqlx::query(
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
    .execute(connection)
    .await?;
    Ok(())
}

async fn activate(
    connection: &mut SqliteConnection,
    kid: &str,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let activated = sqlx::query(
        "UPDATE signing_keys SET state = 'active', activated_at = ? \
         WHERE kid = ? AND state = 'upcoming'",
    )
    .bind(now.as_millisecond())
    .bind(kid)
    .execute(connection)
    .await?;
    Ok(activated.rows_affected() == 1)
}

async fn retire(
    connection: &mut SqliteConnection,
    kid: &str,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let retired = sqlx::query(
        "UPDATE signing_keys SET state = 'retiring', retiring_at = ? \
         WHERE kid = ? AND state = 'active'",
    )
    .bind(now.as_millisecond())
    .bind(kid)
    .execute(connection)
    .await?;
    Ok(retired.rows_affected() == 1)
}
