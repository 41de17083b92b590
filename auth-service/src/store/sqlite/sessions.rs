//! Sessions, and the steps on them that account transactions share.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::query::QueryScalar;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};
use token_verifier::Subject;

use super::SqliteStore;
use super::revocations::append_sessions;
use super::rows::{SessionRow, kind_text, read_id, read_ids};
use crate::revocations::entry::ENTRY_LIFE;
use crate::session::{REPLACED_GRACE, SecretHash, Session, SessionId, Touch};
use crate::store::{MAX_SESSIONS_PER_SUBJECT, NewSession, SessionStore, StoreError};

/// Of every exchange. An account that is disabled has no session; should somebody disable
/// one by hand, in SQL, what is left of its sessions opens nothing.
pub(in crate::store) const FIND_SESSION: &str = "SELECT * FROM sessions WHERE secret_hash = ? AND NOT EXISTS \
         (SELECT 1 FROM accounts WHERE accounts.subject = sessions.subject \
          AND disabled_at IS NOT NULL)";

#[async_trait]
impl SessionStore for SqliteStore {
    async fn create_session(&self, session: &NewSession) -> Result<(), StoreError> {
        let mut transaction = self.database.write().await?;
        insert(&mut transaction, session).await?;
        Ok(transaction.commit().await?)
    }

    async fn find_session(&self, secret: &SecretHash) -> Result<Option<Session>, StoreError> {
        let row: Option<SessionRow> = sqlx::query_as(FIND_SESSION)
            .bind(secret.as_bytes())
            .fetch_optional(self.database.readers())
            .await?;
        row.map(SessionRow::into_session).transpose()
    }

    async fn find_successor(&self, secret: &SecretHash) -> Result<Option<Session>, StoreError> {
        let row: Option<SessionRow> = sqlx::query_as(
            "SELECT * FROM sessions WHERE replaced_secret_hash = ? ORDER BY id DESC LIMIT 1",
        )
        .bind(secret.as_bytes())
        .fetch_optional(self.database.readers())
        .await?;
        row.map(SessionRow::into_session).transpose()
    }

    async fn touch_session(&self, touch: &Touch) -> Result<bool, StoreError> {
        let touched = sqlx::query(
            "UPDATE sessions SET last_seen_at = ?1, expires_at = min(?2, absolute_expires_at) \
             WHERE id = ?3 AND last_seen_at < ?1",
        )
        .bind(touch.last_seen_at.as_millisecond())
        .bind(touch.expires_at.as_millisecond())
        .bind(touch.id.to_string())
        .execute(self.database.writer())
        .await?;
        Ok(touched.rows_affected() == 1)
    }

    async fn end_session(
        &self,
        secret: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<SessionId>, StoreError> {
        let mut transaction = self.database.write().await?;
        let ended = delete_by_secret(&mut transaction, secret, now).await?;
        self.commit(transaction).await?;
        Ok(ended)
    }

    async fn sign_out(
        &self,
        secret: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<SessionId>, StoreError> {
        let mut transaction = self.database.write().await?;
        let mut ended = delete_by_secret(&mut transaction, secret, now).await?;
        if ended.is_none() {
            ended = delete_young_successor(&mut transaction, secret, now).await?;
        }
        self.commit(transaction).await?;
        Ok(ended)
    }

    async fn end_session_of(
        &self,
        subject: &Subject,
        id: SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.database.write().await?;
        let delete = sqlx::query_scalar(
            "DELETE FROM sessions WHERE id = ? AND subject = ? AND expires_at > ? RETURNING id",
        )
        .bind(id.to_string())
        .bind(subject.as_str())
        .bind(now.as_millisecond());
        let ended = end(&mut transaction, delete, now).await?;
        self.commit(transaction).await?;
        Ok(!ended.is_empty())
    }

    async fn end_other_sessions(
        &self,
        subject: &Subject,
        kept: SessionId,
        now: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, StoreError> {
        let mut transaction = self.database.write().await?;
        let stays: i64 = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM sessions WHERE id = ? AND subject = ?)",
        )
        .bind(kept.to_string())
        .bind(subject.as_str())
        .fetch_one(&mut *transaction)
        .await?;
        if stays == 0 {
            return Ok(None);
        }
        let ended = delete_others(&mut transaction, subject, kept, now).await?;
        self.commit(transaction).await?;
        Ok(Some(ended))
    }

    async fn list_sessions(
        &self,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        let rows: Vec<SessionRow> = sqlx::query_as(
            "SELECT * FROM sessions WHERE subject = ? AND expires_at > ? \
             ORDER BY id DESC LIMIT ?",
        )
        .bind(subject.as_str())
        .bind(now.as_millisecond())
        .bind(i64::from(MAX_SESSIONS_PER_SUBJECT))
        .fetch_all(self.database.readers())
        .await?;
        rows.into_iter().map(SessionRow::into_session).collect()
    }

    async fn end_expired_sessions(
        &self,
        now: Timestamp,
        at_most: u32,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut transaction = self.database.write().await?;
        let rows: Vec<(String, bool)> = sqlx::query_as(
            "DELETE FROM sessions WHERE secret_hash IN \
                 (SELECT secret_hash FROM sessions WHERE expires_at <= ?1 \
                  ORDER BY expires_at LIMIT ?2) \
             RETURNING id, expires_at < absolute_expires_at AND expires_at > ?3",
        )
        .bind(now.as_millisecond())
        .bind(i64::from(at_most))
        .bind(now.as_millisecond() - ENTRY_LIFE.as_millis() as i64)
        .fetch_all(&mut *transaction)
        .await?;
        let mut ended = Vec::with_capacity(rows.len());
        for (id, is_outlived) in rows {
            let id = read_id(&id)?;
            // No token outlives the absolute expiry of its session; an idle one may.
            if is_outlived {
                append_sessions(&mut transaction, [id], now).await?;
            }
            ended.push(id);
        }
        self.commit(transaction).await?;
        Ok(ended)
    }
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    new: &NewSession,
) -> Result<(), StoreError> {
    let session = &new.session;
    sqlx::query(
        "INSERT INTO sessions (secret_hash, id, subject, kind, created_at, authenticated_at, \
             last_seen_at, expires_at, absolute_expires_at, amr, user_agent, address, \
             prior_subject, replaced_secret_hash) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(new.secret_hash.as_bytes())
    .bind(session.id.to_string())
    .bind(session.subject.as_str())
    .bind(kind_text(session.kind))
    .bind(session.created_at.as_millisecond())
    .bind(session.authenticated_at.map(Timestamp::as_millisecond))
    .bind(session.last_seen_at.as_millisecond())
    .bind(session.expires_at.as_millisecond())
    .bind(session.absolute_expires_at.as_millisecond())
    .bind(session.amr.join(" "))
    .bind(session.client.user_agent())
    .bind(session.client.address())
    .bind(session.prior_subject.as_ref().map(Subject::as_str))
    .bind(new.replaces.as_ref().map(SecretHash::as_bytes))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn delete_by_secret(
    connection: &mut SqliteConnection,
    secret: &SecretHash,
    now: Timestamp,
) -> Result<Option<SessionId>, StoreError> {
    let delete = sqlx::query_scalar("DELETE FROM sessions WHERE secret_hash = ? RETURNING id")
        .bind(secret.as_bytes());
    Ok(end(connection, delete, now).await?.pop())
}

/// A session is replaced once, so there is at most one.
async fn delete_young_successor(
    connection: &mut SqliteConnection,
    secret: &SecretHash,
    now: Timestamp,
) -> Result<Option<SessionId>, StoreError> {
    let delete = sqlx::query_scalar(
        "DELETE FROM sessions WHERE replaced_secret_hash = ? AND authenticated_at > ? \
         RETURNING id",
    )
    .bind(secret.as_bytes())
    .bind(now.as_millisecond() - REPLACED_GRACE.as_millis() as i64);
    Ok(end(connection, delete, now).await?.pop())
}

pub(super) async fn delete_others(
    connection: &mut SqliteConnection,
    subject: &Subject,
    kept: SessionId,
    now: Timestamp,
) -> Result<Vec<SessionId>, StoreError> {
    let delete =
        sqlx::query_scalar("DELETE FROM sessions WHERE subject = ? AND id <> ? RETURNING id")
            .bind(subject.as_str())
            .bind(kept.to_string());
    end(connection, delete, now).await
}

/// Ends the oldest sessions of a subject past the limit (CS-17), but not the one just
/// made, which a clock that went back would make the oldest.
pub(super) async fn delete_past_limit(
    connection: &mut SqliteConnection,
    subject: &Subject,
    made: SessionId,
    now: Timestamp,
) -> Result<Vec<SessionId>, StoreError> {
    let delete = sqlx::query_scalar(
        "DELETE FROM sessions WHERE secret_hash IN \
             (SELECT secret_hash FROM sessions WHERE subject = ? AND id <> ? \
              ORDER BY id DESC LIMIT -1 OFFSET ?) \
         RETURNING id",
    )
    .bind(subject.as_str())
    .bind(made.to_string())
    .bind(i64::from(MAX_SESSIONS_PER_SUBJECT) - 1);
    end(connection, delete, now).await
}

/// Ends the sessions that `delete` deletes and whose ids it returns: whoever ends one
/// through here has it in the revocation log.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    delete: QueryScalar<'_, Sqlite, String, SqliteArguments>,
    now: Timestamp,
) -> Result<Vec<SessionId>, StoreError> {
    let ended = read_ids(delete.fetch_all(&mut *connection).await?)?;
    append_sessions(connection, ended.iter().copied(), now).await?;
    Ok(ended)
}
