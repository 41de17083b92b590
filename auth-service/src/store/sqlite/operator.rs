//! What an operator does by hand.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::SqliteConnection;
use token_verifier::Subject;

use super::SqliteStore;
use super::revocations::append;
use super::sessions::end;
use crate::revocations::NewRevocation;
use crate::session::SessionId;
use crate::store::{OperatorStore, StoreError};

#[async_trait]
impl OperatorStore for SqliteStore {
    async fn revoke_session(&self, id: SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let mut transaction = self.database.write().await?;
        let delete = sqlx::query_scalar("DELETE FROM sessions WHERE id = ? RETURNING id")
            .bind(id.to_string());
        let ended = end(&mut transaction, delete, now).await?;
        self.commit(transaction).await?;
        Ok(!ended.is_empty())
    }

    async fn revoke_subject(
        &self,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut transaction = self.database.write().await?;
        let ended = end_all(&mut transaction, subject, now).await?;
        self.commit(transaction).await?;
        Ok(ended)
    }

    async fn disable_account(
        &self,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, StoreError> {
        let mut transaction = self.database.write().await?;
        let disabled = sqlx::query(
            "UPDATE accounts SET disabled_at = coalesce(disabled_at, ?) WHERE subject = ?",
        )
        .bind(now.as_millisecond())
        .bind(subject.as_str())
        .execute(&mut *transaction)
        .await?;
        if disabled.rows_affected() == 0 {
            return Ok(None);
        }
        let ended = end_all(&mut transaction, subject, now).await?;
        self.commit(transaction).await?;
        Ok(Some(ended))
    }

    async fn enable_account(&self, subject: &Subject) -> Result<bool, StoreError> {
        let enabled = sqlx::query("UPDATE accounts SET disabled_at = NULL WHERE subject = ?")
            .bind(subject.as_str())
            .execute(self.database.writer())
            .await?;
        Ok(enabled.rows_affected() == 1)
    }
}

/// Revokes all that a subject has. An entry for each session as well: one that began in the
/// second of `now` has tokens that the entry for the subject may not concern.
async fn end_all(
    connection: &mut SqliteConnection,
    subject: &Subject,
    now: Timestamp,
) -> Result<Vec<SessionId>, StoreError> {
    let revocation = NewRevocation::subject(subject.clone(), now);
    append(connection, &revocation).await?;
    let delete = sqlx::query_scalar("DELETE FROM sessions WHERE subject = ? RETURNING id")
        .bind(subject.as_str());
    end(connection, delete, now).await
}
