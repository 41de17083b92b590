//! The revocation log.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{FromRow, Sqlite, SqliteConnection, Transaction};
use token_verifier::Subject;

use super::SqliteStore;
use crate::revocations::entry::MAX_CLOCK_STEP;
use crate::revocations::{Head, LogId, NewRevocation, Revocation, RevocationTarget};
use crate::session::SessionId;
use crate::store::{BoxedError, RevocationLog, StoreError};

#[async_trait]
impl RevocationLog for SqliteStore {
    async fn head(&self) -> Result<Head, StoreError> {
        let (log_id, seq): (String, i64) = sqlx::query_as(
            "SELECT log_id, \
                 coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'revocations'), 0) \
             FROM revocation_log",
        )
        .fetch_one(self.database.readers())
        .await?;
        Ok(Head {
            log_id: LogId::new(log_id),
            seq: seq.unsigned_abs(),
        })
    }

    async fn read_after(&self, seq: u64, limit: u32) -> Result<Vec<Revocation>, StoreError> {
        // A number that no row can have is after all of them.
        let after = i64::try_from(seq).unwrap_or(i64::MAX);
        let rows: Vec<RevocationRow> =
            sqlx::query_as("SELECT * FROM revocations WHERE seq > ? ORDER BY seq LIMIT ?")
                .bind(after)
                .bind(i64::from(limit))
                .fetch_all(self.database.readers())
                .await?;
        rows.into_iter().map(RevocationRow::into_entry).collect()
    }

    async fn drop_expired_revocations(
        &self,
        now: Timestamp,
        at_most: u32,
    ) -> Result<u64, StoreError> {
        let dropped = sqlx::query(
            "DELETE FROM revocations WHERE seq IN \
                 (SELECT seq FROM revocations WHERE expires_at_s <= ? \
                  ORDER BY expires_at_s LIMIT ?)",
        )
        .bind(now.as_second())
        .bind(i64::from(at_most))
        .execute(self.database.writer())
        .await?;
        Ok(dropped.rows_affected())
    }

    async fn note_time(&self, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE revocation_log SET latest_time_s = max(latest_time_s, ?)")
            .bind(now.as_second())
            .execute(self.database.writer())
            .await?;
        Ok(())
    }

    async fn appended(&self) {
        self.appended.notified().await;
    }
}

impl SqliteStore {
    /// Commits what may have appended, and says so to whoever follows the log.
    pub(super) async fn commit(
        &self,
        transaction: Transaction<'_, Sqlite>,
    ) -> Result<(), StoreError> {
        transaction.commit().await?;
        self.appended.notify_one();
        Ok(())
    }
}

/// Appends to the log in the transaction that does what the entry says. Commit with
/// [`SqliteStore::commit`].
pub(super) async fn append(
    connection: &mut SqliteConnection,
    new: &NewRevocation,
) -> Result<(), StoreError> {
    let (session_id, subject, kid, issued_before_s) = match &new.target {
        RevocationTarget::Session(id) => (Some(id.as_bytes()), None, None, None),
        RevocationTarget::Subject {
            subject,
            issued_before_s,
        } => (None, Some(subject.as_str()), None, Some(*issued_before_s)),
        RevocationTarget::Key(kid) => (None, None, Some(kid.as_str()), None),
    };
    let appended = sqlx::query(
        "INSERT INTO revocations (kind, session_id, subject, kid, issued_before_s, \
             revoked_at_us, expires_at_s) \
         SELECT ?, ?, ?, ?, ?, ?, ? + max(0, min(latest_time_s - ?, ?)) FROM revocation_log",
    )
    .bind(new.target.kind().as_str())
    .bind(session_id.map(<[u8; 16]>::as_slice))
    .bind(subject)
    .bind(kid)
    .bind(issued_before_s)
    .bind(new.revoked_at.as_microsecond())
    .bind(new.expires_at_s)
    .bind(new.revoked_at.as_second())
    .bind(MAX_CLOCK_STEP.as_secs().cast_signed())
    .execute(connection)
    .await?;
    if appended.rows_affected() != 1 {
        return Err(StoreError::Corrupt {
            table: "revocation_log",
            source: "the log has no name".into(),
        });
    }
    Ok(())
}

/// One entry for each of these sessions.
pub(super) async fn append_sessions(
    connection: &mut SqliteConnection,
    ended: impl IntoIterator<Item = SessionId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    for id in ended {
        append(connection, &NewRevocation::session(id, now)).await?;
    }
    Ok(())
}

#[derive(FromRow)]
struct RevocationRow {
    seq: i64,
    kind: String,
    session_id: Option<Vec<u8>>,
    subject: Option<String>,
    kid: Option<String>,
    issued_before_s: Option<i64>,
    revoked_at_us: i64,
    expires_at_s: i64,
}

impl RevocationRow {
    fn into_entry(self) -> Result<Revocation, StoreError> {
        self.read().map_err(|source| StoreError::Corrupt {
            table: "revocations",
            source,
        })
    }

    fn read(self) -> Result<Revocation, BoxedError> {
        Ok(Revocation {
            seq: u64::try_from(self.seq)?,
            revoked_at: Timestamp::from_microsecond(self.revoked_at_us)?,
            expires_at_s: self.expires_at_s,
            target: self.target()?,
        })
    }

    fn target(self) -> Result<RevocationTarget, BoxedError> {
        let target = match self.kind.as_str() {
            "session" => {
                let bytes = self.session_id.ok_or("no session_id")?;
                RevocationTarget::Session(SessionId::from_bytes(bytes.as_slice().try_into()?))
            }
            "subject" => RevocationTarget::Subject {
                subject: Subject::parse(&self.subject.ok_or("no subject")?)?,
                issued_before_s: self.issued_before_s.ok_or("no issued_before_s")?,
            },
            "key" => RevocationTarget::Key(self.kid.ok_or("no kid")?),
            _ => return Err("unknown kind".into()),
        };
        Ok(target)
    }
}
